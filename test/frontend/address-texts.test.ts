/**
 * Addresses as uWebSockets.js writes them, asked for once each while they are few.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { AddressTexts } from '../../src/frontend/uws/address-texts.ts';
import type { NativeResponse } from '../../src/frontend/uws/native.ts';

let written = 0;

function from(...bytes: number[]): NativeResponse {
  const text = bytes.length === 4 ? bytes.join('.') : Buffer.from(bytes).toString('hex');
  return {
    getRemoteAddress: () => new Uint8Array(bytes).buffer,
    getRemoteAddressAsText() {
      written += 1;
      return new TextEncoder().encode(text).buffer;
    },
  } as unknown as NativeResponse;
}

test('each address of four bytes is written once, and none is taken for another', () => {
  const addresses = new AddressTexts();
  written = 0;
  const all = [from(127, 0, 0, 1), from(255, 255, 255, 255), from(0, 0, 0, 0), from(127, 0, 1, 0)];
  const texts = ['127.0.0.1', '255.255.255.255', '0.0.0.0', '127.0.1.0'];
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(
      all.map((res) => addresses.textOf(res)),
      texts,
    );
  }
  assert.equal(addresses.textOf(all[3] as NativeResponse), '127.0.1.0');
  assert.equal(written, 4);
});

test('longer ones are asked for each time', () => {
  const addresses = new AddressTexts();
  const six = from(...Array.from({ length: 16 }, (_, i) => i));
  for (let i = 0; i < 2; i++) assert.equal(addresses.textOf(six), '000102030405060708090a0b0c0d0e0f');
});

test('however many there are, few are kept', () => {
  const addresses = new AddressTexts();
  for (let i = 0; i < 5000; i++) addresses.textOf(from(10, 0, i >> 8, i & 255));
  written = 0;
  addresses.textOf(from(10, 0, 0, 0));
  assert.equal(written, 1);
});
