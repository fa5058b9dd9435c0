/**
 * What every implementation of `Leases` promises to one node.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Lease, Leases } from '../../../src/cluster/port.ts';

export async function acquired(leases: Leases, name: string): Promise<Lease> {
  const lease = await leases.acquire(name);
  assert.ok(lease !== null, `${name} has another holder`);
  return lease;
}

/** `open`: leases of node `n1`, closed by the test. */
export function leasesContract(name: string, open: () => Promise<Leases>): void {
  describe(`${name} keeps the contract`, () => {
    async function withLeases(run: (leases: Leases) => Promise<void>): Promise<void> {
      const leases = await open();
      try {
        await run(leases);
      } finally {
        await leases.close();
      }
    }

    test('one holder per name, until it gives the lease back', () =>
      withLeases(async (leases) => {
        const first = await acquired(leases, 'contract:one');
        assert.equal(first.name, 'contract:one');
        assert.equal(first.held, true);
        assert.equal(await leases.acquire('contract:one'), null);
        await leases.release(first);
        assert.equal(first.held, false);
        const second = await acquired(leases, 'contract:one');
        assert.ok(second.token > first.token);
      }));

    test('of many that ask at once one gets it', () =>
      withLeases(async (leases) => {
        const asked = await Promise.all(Array.from({ length: 20 }, () => leases.acquire('contract:many')));
        assert.equal(asked.filter((lease) => lease !== null).length, 1);
      }));

    test('names have nothing to do with one another', () =>
      withLeases(async (leases) => {
        const names = ['contract:a', 'contract:b', 'contract:{a}:b', 'contract:a b'];
        const held = await Promise.all(names.map((each) => acquired(leases, each)));
        await leases.release(held[0] as Lease);
        assert.deepEqual(
          held.map((lease) => lease.held),
          [false, true, true, true],
        );
      }));

    test('the holder can be asked for', () =>
      withLeases(async (leases) => {
        assert.equal(await leases.holder('contract:holder'), null);
        const lease = await acquired(leases, 'contract:holder');
        assert.deepEqual(await leases.holder('contract:holder'), { nodeId: 'n1', token: lease.token });
        await leases.release(lease);
        assert.equal(await leases.holder('contract:holder'), null);
      }));

    test('giving back what another holds by now changes nothing, and nobody is told of a loss', () =>
      withLeases(async (leases) => {
        const old = await acquired(leases, 'contract:twice');
        old.onLost = () => assert.fail('it was given back, not lost');
        await leases.release(old);
        const young = await acquired(leases, 'contract:twice');
        await leases.release(old);
        assert.equal(young.held, true);
        assert.deepEqual(await leases.holder('contract:twice'), { nodeId: 'n1', token: young.token });
      }));

    test('closing gives everything back; after it nothing can be acquired', async () => {
      const leases = await open();
      const lease = await acquired(leases, 'contract:close');
      await leases.close();
      assert.equal(lease.held, false);
      await assert.rejects(leases.acquire('contract:close'));
      await withLeases(async (next) => {
        assert.ok((await acquired(next, 'contract:close')).token > lease.token);
      });
    });
  });
}
