/** Length of the body of record `seq` in the crash test: small ones, some pages, and now and then a large one. */
export function crashBodyBytes(seq: number): number {
  if (seq % 17 === 0) return 70_000;
  return seq % 5 === 0 ? 9000 : 40 + (seq % 200);
}
