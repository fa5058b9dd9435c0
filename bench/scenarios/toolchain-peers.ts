/**
 * Peers in other languages, asked for with `--peers go,rust`: built from their registries where the toolchain is.
 *
 * Role: builds once, into a cache folder beside the packages, before anything is measured. What cannot be built is
 * skipped with a line that says why.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { projectFolder } from '../measure/machine.ts';
import type { PeerName } from '../options.ts';
import { MODERN_CALLER } from '../wire/messages.ts';
import { echoCalls } from './calls.ts';
import type { LoadVariant } from './load-variant.ts';
import type { Plan } from './scenario.ts';

const BUILD_MS_MAX = 600_000;
const ERROR_CHARS_MAX = 300;

interface Toolchain {
  readonly name: string;
  readonly command: string;
  /** Where it is put when it is not on the path. */
  readonly elsewhere: string;
  readonly build: (output: string) => readonly string[];
  readonly binary: (output: string) => string;
}

const TOOLCHAINS: Readonly<Record<PeerName, Toolchain>> = {
  go: {
    name: 'Go SDK',
    command: 'go',
    elsewhere: '/usr/local/go/bin',
    build: (output) => ['build', '-o', join(output, 'go-peer'), '.'],
    binary: (output) => join(output, 'go-peer'),
  },
  rust: {
    name: 'Rust rmcp',
    command: 'cargo',
    elsewhere: join(homedir(), '.cargo', 'bin'),
    build: (output) => ['build', '--release', '--locked', '--target-dir', output],
    binary: (output) => join(output, 'release', 'rust-peer'),
  },
};

export function toolchainPeers(plan: Plan): {
  readonly variants: readonly LoadVariant[];
  readonly skipped: readonly string[];
} {
  const variants: LoadVariant[] = [];
  const skipped: string[] = [];
  for (const peer of plan.peers) {
    const toolchain = TOOLCHAINS[peer];
    const built = build(peer, toolchain);
    if (typeof built === 'string') skipped.push(`peer ${peer}: ${built}`);
    else variants.push(variantOf(toolchain.name, built.binary));
  }
  return { variants, skipped };
}

function build(peer: string, toolchain: Toolchain): { readonly binary: string } | string {
  const command = find(toolchain);
  if (command === null) return `${toolchain.command} is not installed`;
  const output = join(projectFolder(), 'node_modules', '.cache', 'millrace-bench', peer);
  mkdirSync(output, { recursive: true });
  process.stderr.write(`building peer ${peer} …\n`);
  const cwd = join(projectFolder(), 'bench', 'controls', peer);
  const run = spawnSync(command, toolchain.build(output), { cwd, encoding: 'utf8', timeout: BUILD_MS_MAX });
  const binary = toolchain.binary(output);
  if (run.status === 0 && existsSync(binary)) return { binary };
  return `could not be built: ${(run.stderr ?? '').trim().slice(-ERROR_CHARS_MAX)}`;
}

/** The first that starts: by its name, or where it is commonly put. */
function find({ command, elsewhere }: Toolchain): string | null {
  const candidates = [command, join(elsewhere, command)];
  return (
    candidates.find((candidate) => spawnSync(candidate, ['--version'], { stdio: 'ignore' }).error === undefined) ?? null
  );
}

function variantOf(name: string, binary: string): LoadVariant {
  return {
    name,
    role: 'peer',
    quick: true,
    server: () => ({ command: binary, args: [] }),
    load: async (url, plan) => [await echoCalls(url, plan.connections, MODERN_CALLER)],
  };
}
