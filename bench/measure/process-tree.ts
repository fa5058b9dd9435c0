/**
 * CPU time and resident memory of a process and all its descendants, as the operating system counts them.
 *
 * Role: these figures hold even where the load generator is the bottleneck. Linux only: elsewhere there is no `/proc`,
 * and the reading says so instead of guessing. CPU time has the kernel's tick (10 ms): over a second of a busy process,
 * 1 %. Threads are part of their process; descendants that ended in between are in their parent's own count.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: 100 on every architecture Node.js runs on. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;

export interface TreeReading {
  readonly cpuUs: number;
  readonly residentBytes: number;
  readonly processes: number;
}

/** Why there are no figures, or null where there are. */
export function treeUnreadable(platform: NodeJS.Platform = process.platform): string | null {
  return platform === 'linux' ? null : `server CPU and memory: not read on ${platform} (no /proc)`;
}

/** Null when there is no such process, or no `/proc`. */
export function readTree(pid: number): TreeReading | null {
  if (treeUnreadable() !== null) return null;
  let cpuUs = 0;
  let residentBytes = 0;
  let processes = 0;
  for (const member of [pid, ...descendantsOf(pid)]) {
    const one = readOne(member);
    if (one === null) continue;
    cpuUs += one.cpuUs;
    residentBytes += one.residentBytes;
    processes++;
  }
  return processes === 0 ? null : { cpuUs, residentBytes, processes };
}

function readOne(pid: number): { cpuUs: number; residentBytes: number } | null {
  const stat = readText(`/proc/${pid}/stat`);
  const status = readText(`/proc/${pid}/status`);
  return stat === null || status === null ? null : { cpuUs: cpuUsOf(stat), residentBytes: residentBytesOf(status) };
}

/** `/proc/PID/stat`: the command in brackets may hold anything, so fields are counted from the last bracket. */
export function cpuUsOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3] ?? 0);
  const ticks = field(14) + field(15) + field(16) + field(17);
  return (ticks * 1_000_000) / TICKS_PER_SECOND;
}

/** `/proc/PID/status`, whose unit does not depend on the size of a page. */
export function residentBytesOf(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * KIB;
}

function descendantsOf(pid: number): number[] {
  const found: number[] = [];
  const open = [pid];
  for (let parent = open.pop(); parent !== undefined; parent = open.pop()) {
    for (const child of childrenOf(parent)) {
      found.push(child);
      open.push(child);
    }
  }
  return found;
}

function childrenOf(pid: number): number[] {
  const children: number[] = [];
  for (const thread of listFolder(`/proc/${pid}/task`)) {
    const text = readText(`/proc/${pid}/task/${thread}/children`);
    for (const child of text?.split(' ') ?? []) if (child.trim() !== '') children.push(Number(child));
  }
  return children;
}

/** Processes and threads end while they are being read: that is no error. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
