/**
 * A bare `node:http` server: reads the body, sends fixed bytes. What Node.js itself costs, without parsing anything.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readArguments, sayReady } from './arguments.ts';

const answer = Buffer.from(readArguments().answer);

const server = createServer((req, res) => {
  req.on('data', () => undefined);
  req.on('end', () => {
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
    res.end(answer);
  });
});
server.listen(0, '127.0.0.1', () => sayReady((server.address() as AddressInfo).port));
