/**
 * The average price of a seller's last auctions, as a reducer of the user: what Q6 needs, as windows by count do not
 * slide. Whole events are added: `auction`, when it `opened`, and price and time of its winning bid in one number, `rank`
 * (see `queries-auctions.ts`). Auctions follow one another by the time of that bid, then by id, in whatever order they come.
 */
export const AUCTIONS_MAX = 10;

interface Final {
  readonly auction: number;
  readonly at: number;
  readonly price: number;
}

type Event = Readonly<Record<'auction' | 'opened' | 'rank', number>>;

const last = (finals: readonly Final[]): Final[] =>
  finals.toSorted((a, b) => a.at - b.at || a.auction - b.auction).slice(-AUCTIONS_MAX);

export const lastAuctions = {
  init: (): Final[] => [],
  add: (state: readonly Final[], { auction, opened, rank }: Event): Final[] =>
    last([...state, { auction, at: opened + 1023 - (rank % 1024), price: Math.floor(rank / 1024) }]),
  merge: (a: readonly Final[], b: readonly Final[]): Final[] => last([...a, ...b]),
  result: (state: readonly Final[]): number => state.reduce((sum, { price }) => sum + price, 0) / state.length,
};
