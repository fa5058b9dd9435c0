/**
 * The limit: uWebSockets.js reads the body of a POST, or a WebSocket message, and sends fixed bytes. It parses nothing,
 * so no server in Node.js that looks at its requests can be as fast. The answer is bytes: 16 KB of a list as a text cost it
 * half as much again, a short one is the same either way.
 */
import { Buffer } from 'node:buffer';
import { loadNative } from '../../src/frontend/uws/load.ts';
import { readArguments, sayReady } from './arguments.ts';

const answer = Buffer.from(readArguments().answer);
const loaded = loadNative();
if (!('native' in loaded)) throw new Error(loaded.reasons.join('; '));
const { native } = loaded;

native
  .App()
  .ws<object>('/mcp', {
    maxPayloadLength: 1024 * 1024,
    idleTimeout: 120,
    sendPingsAutomatically: true,
    maxBackpressure: 1024 * 1024,
    compression: native.DISABLED,
    upgrade(res, req, context) {
      let key = '';
      req.forEach((name, value) => {
        if (name === 'sec-websocket-key') key = value;
      });
      res.upgrade({}, key, '', '', context);
    },
    open: () => undefined,
    message: (ws) => void ws.send(answer, false, false),
    ping: () => undefined,
    drain: () => undefined,
    close: () => undefined,
  })
  .post('/*', (res) => {
    let aborted = false;
    res.onAborted(() => {
      aborted = true;
    });
    res.onData((_chunk, isLast) => {
      if (!isLast || aborted) return;
      res.cork(() => void res.writeHeader('Content-Type', 'application/json').end(answer, false));
    });
  })
  .listen('127.0.0.1', 0, native.LIBUS_LISTEN_EXCLUSIVE_PORT, (token) => {
    if (token === false) throw new Error('cannot listen');
    sayReady(native.us_socket_local_port(token));
  });
