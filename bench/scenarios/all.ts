/**
 * The suite: every scenario, in the order in which it is run.
 */
import { cluster } from './cluster.ts';
import { cpu } from './cpu.ts';
import { echo } from './echo.ts';
import { lists } from './lists.ts';
import { notifications } from './notifications.ts';
import { openLoop } from './open-loop.ts';
import { overload } from './overload.ts';
import { scaling } from './scaling.ts';
import type { Scenario } from './scenario.ts';
import { shop } from './shop.ts';
import { soak } from './soak.ts';
import { streams } from './streams.ts';

const SCENARIOS: readonly Scenario[] = [
  echo,
  lists,
  cpu,
  openLoop,
  overload,
  scaling,
  notifications,
  streams,
  shop,
  cluster,
  soak,
];

export const scenarioNames = (): string[] =>
  SCENARIOS.map(({ inSuite, name }) => (inSuite === null ? `${name} (only when named)` : name));

/** Those named, in the order of the suite; those of the suite when none is. Text: what is wrong. */
export function suiteScenarios(names: readonly string[]): readonly Scenario[] | string {
  const unknown = names.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown !== undefined) return `--scenario ${unknown}: there are ${scenarioNames().join(', ')}`;
  return SCENARIOS.filter(({ inSuite, name }) => (names.length === 0 ? inSuite !== null : names.includes(name)));
}
