/** Static tokens, JWTs good and bad, and the cache of verdicts; tokens are signed for real, the clock is ours. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { TOKEN_CHARS_MAX } from '../../src/auth/bearer-token.ts';
import { JwtVerifier } from '../../src/auth/jwt-verifier.ts';
import { TokenAuthenticator, VERIFICATIONS_MAX } from '../../src/auth/token-authenticator.ts';
import { VERDICT_MS_MAX, VERIFIED_TOKENS_MAX, VerifiedTokens } from '../../src/auth/verified-tokens.ts';
import type { Principal } from '../../src/catalogue/define.ts';
import type { AuthSettings } from '../../src/config/settings.ts';
import { type AuthRefusal, isAuthRefusal } from '../../src/protocol/authenticator.ts';
import {
  authSettings,
  jwtSettings,
  type KeySetServer,
  NOW_MS,
  type SigningKey,
  serveKeySet,
  sign,
  signingKey,
  TextLog,
} from './issuer.ts';

const METADATA = 'resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp", scope="tools:call"';

let rsa: SigningKey;
let ec: SigningKey;
let ed: SigningKey;
let stranger: SigningKey;
let keySet: KeySetServer;

before(async () => {
  [rsa, ec, ed, stranger] = await Promise.all([
    signingKey('RS256'),
    signingKey('ES256'),
    signingKey('EdDSA'),
    signingKey('RS256'),
  ]);
  keySet = await serveKeySet([rsa, ec, ed]);
});
after(() => {
  keySet.server.close();
  keySet.server.closeAllConnections();
});

class Bench {
  readonly log = new TextLog();
  nowMs = NOW_MS;
  readonly authenticator: TokenAuthenticator;
  constructor(wish: Partial<AuthSettings> = {}) {
    const settings = authSettings(wish);
    const jwt = settings.jwt === null ? null : new JwtVerifier(settings.jwt);
    this.authenticator = new TokenAuthenticator(settings, this.log, jwt, () => this.nowMs);
  }
  async bearer(token: string): Promise<Principal | AuthRefusal> {
    return this.authenticator.authenticate(`Bearer ${token}`);
  }
}

function byPem(key: SigningKey, algorithms: readonly string[] = [key.alg]): Partial<AuthSettings> {
  return { jwt: jwtSettings({ publicKeyPem: key.pem, algorithms }) };
}

function assertRefused(answer: unknown, status: number, challenge: string): void {
  assert.ok(typeof answer === 'object' && answer !== null && 'wwwAuthenticate' in answer, 'refused');
  assert.deepEqual({ status: (answer as AuthRefusal).status, www: answer.wwwAuthenticate }, { status, www: challenge });
}

const INVALID = `Bearer error="invalid_token", ${METADATA}`;

describe('static tokens', () => {
  const tokens = [
    { token: 'a-long-static-token', id: 'ops', scopes: ['tools:call', 'admin'] },
    { token: 'another-static-token', id: 'guest', scopes: ['read'] },
  ];

  test('are answered at once with their principal, whatever the case of the scheme', () => {
    const { authenticator } = new Bench({ tokens });
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      assert.deepEqual(authenticator.authenticate(`${scheme} a-long-static-token`), {
        id: 'ops',
        scopes: ['tools:call', 'admin'],
      });
    }
  });

  test('without a scope that is needed are refused with 403 insufficient_scope', () => {
    const answer = new Bench({ tokens }).authenticator.authenticate('Bearer another-static-token');
    assertRefused(answer, 403, `Bearer error="insufficient_scope", ${METADATA}`);
  });

  test('no header: 401 that says where to get a token and what for', () => {
    assertRefused(new Bench({ tokens }).authenticator.authenticate(''), 401, `Bearer ${METADATA}`);
  });

  test('another scheme, an empty, wrong, longer, shorter or endless token is refused at once', () => {
    const { authenticator } = new Bench({ tokens });
    for (const header of [
      'Basic b3BzOm9wcw==',
      'Bearer',
      'Bearer ',
      'Bearer a-long-static-toke',
      'Bearer a-long-static-token2',
      'Bearer A-LONG-STATIC-TOKEN',
      'a-long-static-token',
      `Bearer ${'x'.repeat(TOKEN_CHARS_MAX + 1)}`,
    ]) {
      assertRefused(authenticator.authenticate(header), 401, INVALID);
    }
  });

  test('with nothing published the challenge still has a parameter', () => {
    const { authenticator } = new Bench({ tokens, authorizationServers: [], requiredScopes: [] });
    assertRefused(authenticator.authenticate(''), 401, 'Bearer realm="mcp"');
  });
});

describe('JWTs by public key', () => {
  test('a good one names the principal, its scopes and the claims left for tools', async () => {
    const answer = await new Bench(byPem(rsa)).bearer(await sign(rsa, { scope: 'tools:call  admin', tenant: 'acme' }));
    assert.deepEqual(answer, {
      id: 'alice',
      scopes: ['tools:call', 'admin'],
      claims: { sub: 'alice', tenant: 'acme' },
    });
  });

  test('scopes may stand in scp, and client_id for a missing sub', async () => {
    const bench = new Bench(byPem(rsa));
    const listed = await bench.bearer(await sign(rsa, { scope: undefined, scp: ['tools:call', 7] }));
    assert.deepEqual((listed as Principal).scopes, ['tools:call']);
    const machine = await bench.bearer(await sign(rsa, { sub: undefined, client_id: 'robot' }));
    assert.equal((machine as Principal).id, 'robot');
    assertRefused(await bench.bearer(await sign(rsa, { sub: undefined })), 401, INVALID);
  });

  test('claims cannot reach a prototype', async () => {
    const claims = JSON.parse('{"__proto__":{"admin":true},"constructor":"x"}');
    const answer = (await new Bench(byPem(rsa)).bearer(
      await sign(rsa, { ...claims, ['__proto__']: claims }),
    )) as Principal;
    assert.equal(Object.getPrototypeOf(answer.claims), Object.prototype);
    assert.equal(({} as Record<string, unknown>)['admin'], undefined);
  });

  test('expired, not yet good, without expiry, of another issuer or for another audience: 401', async () => {
    const nowS = NOW_MS / 1000;
    for (const claims of [
      { exp: nowS - 60 },
      { nbf: nowS + 60 },
      { exp: undefined },
      { iss: 'https://other.example' },
      { iss: undefined },
      { aud: 'https://other.example/mcp' },
      { aud: undefined },
      { aud: `${'https://mcp.example/mcp'}/` },
    ]) {
      assertRefused(await new Bench(byPem(rsa)).bearer(await sign(rsa, claims)), 401, INVALID);
    }
  });

  test('the answer tells an expired token from a bad one', async () => {
    const bench = new Bench(byPem(rsa));
    const expired = await bench.bearer(await sign(rsa, { exp: NOW_MS / 1000 - 60 }));
    assert.ok(isAuthRefusal(expired));
    assert.match(expired.message, /expired/);
  });

  test('a clock a few seconds off does not matter', async () => {
    assert.ok(!isAuthRefusal(await new Bench(byPem(rsa)).bearer(await sign(rsa, { exp: NOW_MS / 1000 - 3 }))));
  });

  test('tampered, truncated, signed by a stranger or no JWT at all: 401', async () => {
    const bench = new Bench(byPem(rsa));
    const good = await sign(rsa);
    const [header = '', , signature = ''] = good.split('.');
    const forged = Buffer.from(JSON.stringify({ sub: 'root', exp: NOW_MS })).toString('base64url');
    for (const token of [
      `${header}.${forged}.${signature}`,
      good.slice(0, -4),
      `${header}..${signature}`,
      await sign(stranger),
      'not-a-jwt',
      'a.b.c',
      '..',
    ]) {
      assertRefused(await bench.bearer(token), 401, INVALID);
    }
  });

  test('alg none, and the public key used as a shared secret, are refused', async () => {
    const bench = new Bench(byPem(rsa));
    const [, payload = ''] = (await sign(rsa)).split('.');
    const encode = (header: object): string => Buffer.from(JSON.stringify(header)).toString('base64url');
    assertRefused(await bench.bearer(`${encode({ alg: 'none' })}.${payload}.`), 401, INVALID);
    const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${payload}`;
    const mac = createHmac('sha256', rsa.pem).update(signed).digest('base64url');
    assertRefused(await bench.bearer(`${signed}.${mac}`), 401, INVALID);
  });

  test('an algorithm off the list is refused though the signature is good, and one of another kind than the key', async () => {
    assertRefused(await new Bench(byPem(rsa, ['PS256'])).bearer(await sign(rsa)), 401, INVALID);
    assertRefused(await new Bench(byPem(rsa, ['RS256', 'ES256'])).bearer(await sign(ec)), 401, INVALID);
  });

  test('a lacking scope is 403', async () => {
    const answer = await new Bench(byPem(rsa)).bearer(await sign(rsa, { scope: 'tools:cal' }));
    assertRefused(answer, 403, `Bearer error="insufficient_scope", ${METADATA}`);
  });

  test('settings that cannot work are refused at start', () => {
    assert.throws(() => new Bench(byPem(rsa, ['HS256'])), /HS256 is not an asymmetric/);
    assert.throws(() => new Bench(byPem(rsa, ['none'])), /none is not an asymmetric/);
    assert.throws(() => new Bench({ jwt: jwtSettings({ publicKeyPem: 'no key' }) }));
  });
});

describe('JWTs by key set', () => {
  test('the key is chosen by its id, for every kind of key, and fetched once', async () => {
    keySet.requests = 0;
    const bench = new Bench({ jwt: jwtSettings({ jwksUri: keySet.url }) });
    for (const key of [rsa, ec, ed]) assert.equal(((await bench.bearer(await sign(key))) as Principal).id, 'alice');
    assertRefused(await bench.bearer(await sign({ ...stranger, kid: 'unknown' })), 401, INVALID);
    assertRefused(await bench.bearer(await sign(stranger)), 401, INVALID);
    assert.equal(keySet.requests, 1, 'unknown key ids do not make us ask again at once');
  });

  test('keys out of reach: refused as "try again", logged without the token', async () => {
    const failing = await serveKeySet([rsa]);
    failing.status = 500;
    const bench = new Bench({ jwt: jwtSettings({ jwksUri: failing.url }) });
    const token = await sign(rsa);
    const refused = await bench.bearer(token);
    assertRefused(refused, 401, `Bearer ${METADATA}`);
    assert.match((refused as AuthRefusal).message, /cannot be checked now/);
    assert.match(bench.log.lines.join('\n'), /warn the keys for access tokens could not be fetched/);
    failing.status = 200;
    assert.equal(((await bench.bearer(token)) as Principal).id, 'alice', 'and good again afterwards');
    failing.server.close();
    failing.server.closeAllConnections();
    const gone = new Bench({ jwt: jwtSettings({ jwksUri: failing.url }) });
    assert.match(((await gone.bearer(token)) as AuthRefusal).message, /cannot be checked now/);
  });
});

describe('the repeat path', () => {
  test('a token seen before is answered without a promise until it expires', async () => {
    const bench = new Bench(byPem(rsa));
    const header = `Bearer ${await sign(rsa, { exp: NOW_MS / 1000 + 60 })}`;
    const first = bench.authenticator.authenticate(header);
    assert.ok(first instanceof Promise);
    const principal = await first;
    bench.nowMs += 59_999;
    assert.equal(bench.authenticator.authenticate(header), principal);
    bench.nowMs += 1;
    const recheck = bench.authenticator.authenticate(header);
    assert.ok(recheck instanceof Promise, 'checked again');
    await recheck;
    bench.nowMs += 10_000;
    assertRefused(await bench.authenticator.authenticate(header), 401, INVALID);
  });

  test('a long-lived token is checked again now and then', async () => {
    const bench = new Bench(byPem(rsa));
    const header = `Bearer ${await sign(rsa, { exp: NOW_MS / 1000 + 86_400 })}`;
    await bench.authenticator.authenticate(header);
    bench.nowMs += VERDICT_MS_MAX - 1;
    assert.ok(!(bench.authenticator.authenticate(header) instanceof Promise));
    bench.nowMs += 1;
    assert.ok(bench.authenticator.authenticate(header) instanceof Promise);
  });

  test('a refusal for a lacking scope is remembered too, one for a bad token is not', async () => {
    const bench = new Bench(byPem(rsa));
    const poor = `Bearer ${await sign(rsa, { scope: '' })}`;
    await bench.authenticator.authenticate(poor);
    assert.ok(!(bench.authenticator.authenticate(poor) instanceof Promise));
    const bad = `Bearer ${await sign(stranger)}`;
    await bench.authenticator.authenticate(bad);
    assert.ok(bench.authenticator.authenticate(bad) instanceof Promise);
  });

  test('requests with one new token share one check, and checks at once are bounded', async () => {
    const bench = new Bench(byPem(rsa));
    const header = `Bearer ${await sign(rsa)}`;
    assert.equal(bench.authenticator.authenticate(header), bench.authenticator.authenticate(header));
    const flood = Array.from({ length: VERIFICATIONS_MAX }, (_, i) =>
      bench.authenticator.authenticate(`Bearer a.b.${i}`),
    );
    const refused = flood.filter((answer) => !(answer instanceof Promise));
    assert.equal(refused.length, 1);
    await Promise.all(flood);
    assert.ok(bench.authenticator.authenticate('Bearer a.b.c') instanceof Promise, 'room again');
  });

  test('verdicts are bounded: the least recently used one goes', () => {
    const verdicts = new VerifiedTokens();
    const someone: Principal = { id: 'x', scopes: [] };
    for (let i = 0; i < VERIFIED_TOKENS_MAX; i++) verdicts.set(`${i}`, someone, 1000, 0);
    assert.equal(verdicts.get('0', 1), someone);
    verdicts.set('new', someone, 1000, 1);
    assert.equal(verdicts.size, VERIFIED_TOKENS_MAX);
    assert.equal(verdicts.get('0', 1), someone);
    assert.equal(verdicts.get('1', 1), null);
    assert.equal(verdicts.get('0', 1000), null, 'and none outlives its token');
  });
});

describe('secrecy', () => {
  test('no token, nor any part of one, is ever logged', async () => {
    const bench = new Bench({ ...byPem(rsa), tokens: [{ token: 'a-long-static-token', id: 'ops', scopes: [] }] });
    const tokens = [
      'a-long-static-token',
      await sign(rsa),
      await sign(stranger),
      await sign(rsa, { exp: 1 }),
      'a.secretpart.c',
    ];
    for (const token of tokens) await bench.bearer(token);
    const text = bench.log.lines.join('\n');
    assert.notEqual(text, '');
    for (const token of tokens) {
      for (const part of token.split('.')) if (part.length > 3) assert.ok(!text.includes(part), part);
    }
  });
});
