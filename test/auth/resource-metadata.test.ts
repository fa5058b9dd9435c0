/** The RFC 9728 document: where it is, what it says, and that the challenges point to it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { refusals } from '../../src/auth/challenge.ts';
import { metadataUrl, resourceMetadata } from '../../src/auth/resource-metadata.ts';
import type { HeaderPairs, Reply } from '../../src/frontend/port.ts';
import type { Endpoint } from '../../src/frontend/router.ts';
import { authSettings } from './issuer.ts';

interface Answer {
  status: number;
  type: string;
  body: string;
  headers: HeaderPairs;
}

function ask(endpoint: Endpoint, method: string): Answer {
  const answers: Answer[] = [];
  const reply: Reply = {
    open: true,
    send: (status, type, body, headers = []) => answers.push({ status, type, body: String(body), headers }),
    openStream: () => assert.fail('no stream here'),
    remoteAddress: () => '',
  };
  const call = endpoint.head({ method, path: '', query: '', header: () => '' }, reply);
  assert.equal(call, null);
  assert.equal(answers.length, 1);
  return answers[0] as Answer;
}

describe('protected-resource metadata', () => {
  test('names resource, authorization servers, scopes and how to send the token', () => {
    const metadata = resourceMetadata(authSettings());
    assert.ok(metadata);
    const answer = ask(metadata.endpoint, 'GET');
    assert.equal(answer.status, 200);
    assert.equal(answer.type, 'application/json');
    assert.deepEqual(JSON.parse(answer.body), {
      resource: 'https://mcp.example/mcp',
      authorization_servers: ['https://issuer.example'],
      scopes_supported: ['tools:call', 'admin'],
      bearer_methods_supported: ['header'],
    });
    assert.equal(ask(metadata.endpoint, 'HEAD').status, 200);
    assert.deepEqual(metadata.paths, [
      '/.well-known/oauth-protected-resource',
      '/.well-known/oauth-protected-resource/mcp',
    ]);
  });

  test('other methods are refused with the allowed ones', () => {
    const metadata = resourceMetadata(authSettings());
    assert.ok(metadata);
    const answer = ask(metadata.endpoint, 'POST');
    assert.equal(answer.status, 405);
    assert.deepEqual(answer.headers, [['Allow', 'GET, HEAD']]);
  });

  test('behind a proxy it is also under the path the resource has outside', () => {
    const settings = authSettings({ resource: 'https://api.example/tools/mcp', scopesSupported: [] });
    assert.equal(metadataUrl(settings), 'https://api.example/.well-known/oauth-protected-resource/tools/mcp');
    const metadata = resourceMetadata(settings);
    assert.ok(metadata);
    assert.ok(metadata.paths.includes('/.well-known/oauth-protected-resource/tools/mcp'));
    assert.ok(!('scopes_supported' in JSON.parse(ask(metadata.endpoint, 'GET').body)));
    assert.equal(
      metadataUrl(authSettings({ resource: 'https://api.example' })),
      'https://api.example/.well-known/oauth-protected-resource',
    );
  });

  test('is published only with a resource and an authorization server', () => {
    assert.equal(resourceMetadata(authSettings({ authorizationServers: [] })), null);
    assert.equal(resourceMetadata(authSettings({ resource: '' })), null);
    assert.equal(
      refusals(authSettings({ authorizationServers: [] })).missing.wwwAuthenticate,
      'Bearer scope="tools:call"',
    );
  });

  test('nothing configured can break out of its quotes', () => {
    const { missing } = refusals(authSettings({ requiredScopes: ['a"b', 'c\\d', 'e\r\nX-Evil: 1'] }));
    assert.match(missing.wwwAuthenticate, /scope="a\\"b c\\\\d eX-Evil: 1"$/);
  });
});
