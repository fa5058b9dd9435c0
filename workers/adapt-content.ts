/**
 * Content for revisions that lack a block type: audio before 2025-03-26 and resource links before 2025-06-18 become a
 * line of text that says what was there, so that an old client shows something instead of failing to validate.
 */
import type { ContentBlock } from '../src/catalogue/define.ts';
import type { Revision } from '../src/protocol/revisions.ts';

export function adaptContent(blocks: readonly ContentBlock[], revision: Revision): ContentBlock[] {
  return blocks.map((block) => adaptBlock(block, revision));
}

export function adaptBlock(block: ContentBlock, revision: Revision): ContentBlock {
  if (block.type === 'audio' && !revision.annotations)
    return { type: 'text', text: `[audio ${String(block['mimeType'])}]` };
  if (block.type === 'resource_link' && !revision.titles) return { type: 'text', text: String(block['uri']) };
  return block;
}
