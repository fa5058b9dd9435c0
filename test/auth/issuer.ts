/** An issuer of access tokens: keys, signing, and a key set served on an ephemeral port of the loopback. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import type { AuthSettings } from '../../src/config/settings.ts';
import type { Log } from '../../src/observe/port.ts';

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'https://mcp.example/mcp';
export const NOW_MS = Date.UTC(2026, 6, 28);
const NOW_S = NOW_MS / 1000;

export interface SigningKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly pem: string;
}

export async function signingKey(alg: string, kid = alg): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, publicKey, pem: await exportSPKI(publicKey) };
}

/** Good for a minute from `NOW_MS` unless `claims` say otherwise; a claim that is undefined is left out. */
export function sign(key: SigningKey, claims: JWTPayload = {}): Promise<string> {
  const all = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', scope: 'tools:call', exp: NOW_S + 60, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg: key.alg, kid: key.kid }).sign(key.privateKey);
}

export interface KeySetServer {
  readonly url: string;
  readonly server: Server;
  requests: number;
  keys: readonly SigningKey[];
  status: number;
}

export async function serveKeySet(keys: readonly SigningKey[]): Promise<KeySetServer> {
  const server = createServer((_request, response) => {
    served.requests++;
    void Promise.all(
      served.keys.map(async ({ publicKey, kid, alg }) => ({ ...(await exportJWK(publicKey)), kid, alg })),
    ).then((jwks) => {
      response.writeHead(served.status, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify({ keys: jwks }));
    });
  });
  const served: KeySetServer = { url: '', server, requests: 0, keys, status: 200 };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(served, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks` });
}

export function authSettings(wish: Partial<AuthSettings> = {}): AuthSettings {
  return {
    tokens: [],
    jwt: null,
    resource: AUDIENCE,
    authorizationServers: [ISSUER],
    scopesSupported: ['tools:call', 'admin'],
    requiredScopes: ['tools:call'],
    ...wish,
  };
}

export function jwtSettings(wish: Partial<NonNullable<AuthSettings['jwt']>>): AuthSettings['jwt'] {
  const algorithms = ['RS256', 'ES256', 'EdDSA'];
  return { issuer: ISSUER, audience: AUDIENCE, jwksUri: '', publicKeyPem: '', algorithms, ...wish };
}

/** Keeps every record as text. */
export class TextLog implements Log {
  readonly lines: string[] = [];
  debug(fields: object, message: string): void {
    this.lines.push(`debug ${message} ${JSON.stringify(fields)}`);
  }
  info(fields: object, message: string): void {
    this.lines.push(`info ${message} ${JSON.stringify(fields)}`);
  }
  warn(fields: object, message: string): void {
    this.lines.push(`warn ${message} ${JSON.stringify(fields)}`);
  }
  error(fields: object, message: string): void {
    this.lines.push(`error ${message} ${JSON.stringify(fields)}`);
  }
}
