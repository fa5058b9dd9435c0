import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { stack, valueAt } from '../../src/config/load.ts';
import { OPTIONS, type Option, optionNamed } from '../../src/config/options.ts';
import { type Cleanup, folderWith, given, load, problemsOf } from './sources.ts';

/** Values an option takes, as file members. */
function valuesOf(option: Option): fc.Arbitrary<unknown> {
  const { form, allowed } = option.facts;
  if (form === 'boolean') return fc.boolean();
  if (form === 'list') return fc.array(fc.stringMatching(/^[a-z]{1,8}$/), { maxLength: 3 });
  const range = /from (\d+) to (\d+)/.exec(allowed);
  if (range !== null) return fc.integer({ min: Number(range[1]), max: Number(range[2]) });
  const oneOf = /^one of (.+)$/.exec(allowed);
  if (oneOf !== null) return fc.constantFrom(...(oneOf[1] ?? '').split(', '));
  return fc.stringMatching(/^[a-z]{32,40}$/);
}

const LAYERED = OPTIONS.filter((option) => option.flag !== null && option.facts.isPath !== true);
const asText = (value: unknown): string => (Array.isArray(value) ? value.join(',') : String(value));

/** One option with a value, or none, in each layer. */
const choice = fc.constantFrom(...LAYERED).chain((option) => {
  const value = fc.option(valuesOf(option), { nil: undefined });
  return fc.record({ option: fc.constant(option), file: value, env: value, flag: value });
});
type Choice = { option: Option; file: unknown; env: unknown; flag: unknown };

function treeOf(choices: readonly Choice[]): object {
  const tree: Record<string, unknown> = {};
  for (const { option, file } of choices) {
    let node = tree;
    for (const member of option.path.slice(0, -1)) {
      node[member] ??= {};
      node = node[member] as Record<string, unknown>;
    }
    if (file !== undefined) node[option.path.at(-1) ?? ''] = file;
  }
  return tree;
}

describe('precedence', () => {
  const cwd = folderWith({ after }, { 'millrace.config.mjs': 'export default {};' });

  test('defaults < file < environment < flags, option by option', async () => {
    const choices = fc.uniqueArray(choice, { selector: (entry) => entry.option.name, maxLength: 8 });
    const property = fc.asyncProperty(choices, async (chosen) => {
      const flags = new Map<string, (string | boolean)[]>();
      const env: Record<string, string> = {};
      for (const { option, env: variable, flag } of chosen) {
        // An empty variable is no variable.
        if (variable !== undefined && asText(variable) !== '') env[option.env] = asText(variable);
        if (flag !== undefined && option.flag !== null) {
          flags.set(option.flag, Array.isArray(flag) ? flag : [typeof flag === 'boolean' ? flag : String(flag)]);
        }
      }
      const importModule = () => Promise.resolve({ default: treeOf(chosen) });
      const { config, origins } = await load(cwd, { flags, env, importModule });
      for (const { option, file, env: variable, flag } of chosen) {
        const value = valueAt(config, option.path);
        const origin = origins.get(option.name)?.kind;
        const usable = variable !== undefined && asText(variable) !== '' ? variable : undefined;
        const [expected, from] =
          flag !== undefined
            ? [flag, 'flag']
            : usable !== undefined
              ? [usable, 'env']
              : file !== undefined
                ? [file, 'file']
                : [option.initial, 'default'];
        assert.deepEqual([value, origin], [expected, from], option.name);
      }
    });
    await fc.assert(property, { numRuns: 200 });
  });

  test('a later layer never changes an option it does not name', () => {
    fc.assert(
      fc.property(fc.array(choice, { maxLength: 5 }), fc.array(choice, { maxLength: 5 }), (below, above) => {
        const layer = (chosen: readonly Choice[]) => ({
          origin: { kind: 'options' } as const,
          values: new Map(chosen.flatMap((c) => (c.file === undefined ? [] : [[c.option.name, c.file] as const]))),
        });
        const alone = stack([layer(below)]).config;
        const both = stack([layer(below), layer(above)]).config;
        for (const option of OPTIONS) {
          if (layer(above).values.has(option.name)) continue;
          assert.deepEqual(valueAt(both, option.path), valueAt(alone, option.path));
        }
      }),
    );
  });
});

describe('the configuration file', () => {
  const file = (text: string, extension: string, context: Cleanup) =>
    load(folderWith(context, { [`millrace.config.${extension}`]: text }));

  test('is read as JSON, YAML or a module, with the same meaning', async (context) => {
    const texts = {
      json: '{"port": 9000, "sessions": {"max": 7}}',
      yaml: 'port: 9000\nsessions:\n  max: 7\n',
      yml: 'port: 9000\nsessions: {max: 7}\n',
      mjs: 'export default { port: 9000, sessions: { max: 7 } };',
      js: 'export default { port: 9000, sessions: { max: 7 } };',
    };
    for (const [extension, text] of Object.entries(texts)) {
      const { config, origins } = await file(text, extension, context);
      assert.deepEqual([config.port, config.sessions.max, config.sessions.ttlMs], [9000, 7, 1_800_000], extension);
      assert.deepEqual(origins.get('port'), { kind: 'file', file: `millrace.config.${extension}` });
    }
  });

  test('may be empty', async (context) => {
    assert.equal((await file('', 'yaml', context)).config.port, 8080);
  });

  test('gives relative paths its own folder', async (context) => {
    const folder = folderWith(context, { 'deep/own.yaml': 'tools: [tools, /abs]\ntlsKey: key.pem' });
    const { config } = await load(folder, { configFile: 'deep/own.yaml' });
    assert.deepEqual(config.tools, [join(folder, 'deep/tools'), '/abs']);
    assert.equal(config.tlsKey, join(folder, 'deep/key.pem'));
  });

  test('is named by MILLRACE_CONFIG when no flag names one', async (context) => {
    const folder = folderWith(context, { 'a.yaml': 'port: 1', 'b.yaml': 'port: 2' });
    const env = { MILLRACE_CONFIG: 'a.yaml' };
    assert.equal((await load(folder, { env })).config.port, 1);
    assert.equal((await load(folder, { env, configFile: 'b.yaml' })).config.port, 2);
  });

  test('is refused when broken, missing, ambiguous or of another kind', async (context) => {
    const folder = folderWith(context, {
      'broken.json': '{"port": ',
      'broken.yaml': 'port: [1',
      'none.mjs': 'export const port = 1;',
      'throws.mjs': 'throw new Error("boom");',
      'list.json': '[1]',
      'two/millrace.config.json': '{}',
      'two/millrace.config.yaml': '',
    });
    const problems = (configFile: string) => problemsOf(() => load(folder, { configFile }));
    assert.match((await problems('broken.json')).join(), /^broken\.json: cannot be read: .*JSON/);
    assert.match((await problems('broken.yaml')).join(), /^broken\.yaml: cannot be read: .*line 1/);
    assert.deepEqual(await problems('none.mjs'), ['none.mjs: must export the configuration as default']);
    assert.match((await problems('throws.mjs')).join(), /^throws\.mjs: cannot be read: boom$/);
    assert.deepEqual(await problems('list.json'), ['list.json: the configuration: must be an object of options']);
    assert.deepEqual(await problems('gone.yaml'), ['--config gone.yaml: there is no such file']);
    assert.deepEqual(await problems('a.toml'), [
      '--config a.toml: must be a file that ends in .ts, .mts, .js, .mjs, .json, .yaml, .yml',
    ]);
    assert.deepEqual(await problemsOf(() => load(join(folder, 'two'))), [
      'millrace.config.json, millrace.config.yaml: only one configuration file is allowed in a folder',
    ]);
  });
});

describe('problems', () => {
  test('of a text that looks like a number show that it is a text, where that is the problem', async (context) => {
    const folder = folderWith(context, {
      'millrace.config.json': '{"port": "80", "watch": "true", "stateSecret": "12", "overload": "drop"}',
    });
    assert.deepEqual(await problemsOf(() => load(folder, { flags: given(['queue-size', '0']) })), [
      'millrace.config.json: port = "80": must be an integer from 0 to 65535',
      'millrace.config.json: watch = "true": must be true or false',
      'millrace.config.json: stateSecret = (hidden): must be text of 32 characters or more',
      'millrace.config.json: overload = drop: must be one of caller-runs, reject, block',
      '--queue-size 0: must be an integer from 1 to 1000000 (calls)',
    ]);
  });

  test('are told all at once, each with its place, value and allowed range', async (context) => {
    const folder = folderWith(context, {
      'millrace.config.yaml': 'port: 70000\nsessions:\n  max: 0\n  tttl: 1\nprot: 1\ntasks: 3\noverload: drop\n',
    });
    const env = { MILLRACE_WORKERS: 'many', MILLRACE_QUEUESIZE: '5', MILLRACE_STATE_SECRET: 'short', HOME: '/x' };
    const flags = given(['port', 'abc'], ['log-level', 'loud'], ['caller-runs-share', '2']);
    assert.deepEqual(await problemsOf(() => load(folder, { env, flags })), [
      'millrace.config.yaml: port = 70000: must be an integer from 0 to 65535',
      'millrace.config.yaml: sessions.max = 0: must be an integer from 1 to 1000000',
      'millrace.config.yaml: sessions.tttl: unknown option, did you mean sessions.ttlMs?',
      'millrace.config.yaml: prot: unknown option, did you mean port?',
      'millrace.config.yaml: tasks: must be an object of options',
      'millrace.config.yaml: overload = drop: must be one of caller-runs, reject, block',
      'MILLRACE_WORKERS=many: must be "auto" or an integer from 1 to 512 (threads)',
      'MILLRACE_QUEUESIZE: unknown option, did you mean MILLRACE_QUEUE_SIZE?',
      'MILLRACE_STATE_SECRET=(hidden): must be text of 32 characters or more',
      '--port abc: must be an integer from 0 to 65535',
      '--log-level loud: must be one of trace, debug, info, warn, error, silent',
      '--caller-runs-share 2: must be a number from 0 to 1',
    ]);
  });

  test('never repeat a secret', async (context) => {
    const folder = folderWith(context);
    const secret = 'tok-very-secret';
    const env = { MILLRACE_AUTH_TOKENS: JSON.stringify([{ token: secret }]) };
    const lines = (await problemsOf(() => load(folder, { env }))).join();
    assert.match(lines, /^MILLRACE_AUTH_TOKENS=\(hidden\): must be a list of/);
    assert.doesNotMatch(lines, /very/);
  });

  test('are cut when the value is long', async (context) => {
    const flags = given(['host', 'x y'.repeat(1000)]);
    const [line = ''] = await problemsOf(() => load(folderWith(context), { flags }));
    assert.ok(line.length < 200, line);
  });

  test('names of a file cannot reach a prototype', async (context) => {
    const folder = folderWith(context, { 'millrace.config.json': '{"__proto__": {"port": 1}, "constructor": 1}' });
    assert.equal((await problemsOf(() => load(folder))).length, 2);
    assert.equal(({} as { port?: number }).port, undefined);
  });
});

describe('the environment', () => {
  test('empty variables and what Kubernetes adds for a service of this name are no options', async (context) => {
    const env = {
      MILLRACE_HOST: '',
      MILLRACE_PORT: 'tcp://10.0.0.1:80',
      MILLRACE_SERVICE_HOST: '10.0.0.1',
      MILLRACE_SERVICE_PORT: '80',
      MILLRACE_PORT_80_TCP_ADDR: '10.0.0.1',
    };
    const { config } = await load(folderWith(context), { env });
    assert.deepEqual([config.host, config.port], ['127.0.0.1', 8080]);
  });

  test('holds structured values as JSON', async (context) => {
    const env = { MILLRACE_AUTH_TOKENS: '[{"token":"0123456789abcdef","id":"ci"}]' };
    const { config } = await load(folderWith(context), { env });
    assert.deepEqual(config.auth.tokens, [{ token: '0123456789abcdef', id: 'ci', scopes: [] }]);
    assert.equal(optionNamed('auth.tokens')?.flag, null);
  });
});
