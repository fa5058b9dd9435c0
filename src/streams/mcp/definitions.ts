/**
 * All MCP definitions of the streams, for the catalogue. Made anew when the plan changes, since every window is a
 * resource; tools and prompts are made once and stay the same objects, so that their entries do.
 */
import type { SourcedDefinition } from '../../catalogue/entries.ts';
import type { Streams } from '../engine/port.ts';
import { streamPrompts } from './prompts.ts';
import { streamResources } from './resources.ts';
import { streamTools } from './tools.ts';

const lasting = new WeakMap<Streams, readonly SourcedDefinition[]>();

export function streamDefinitions(streams: Streams): readonly SourcedDefinition[] {
  let stay = lasting.get(streams);
  if (stay === undefined) {
    stay = [...streamTools(streams), ...streamPrompts(streams)].map((definition) => ({ definition, module: null }));
    lasting.set(streams, stay);
  }
  return [...stay, ...streamResources(streams).map((definition) => ({ definition, module: null }))];
}
