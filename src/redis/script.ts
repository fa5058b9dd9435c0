/**
 * A Lua script by its digest: sent whole only when the server does not know it.
 *
 * Role: every operation on more than one key is one of these. All keys of one call share a hash tag, so that it runs on
 * a Cluster as well.
 */
import { createHash } from 'node:crypto';

export class Script {
  readonly text: string;
  readonly digest: string;

  constructor(text: string) {
    this.text = text;
    this.digest = createHash('sha1').update(text).digest('hex');
  }
}
