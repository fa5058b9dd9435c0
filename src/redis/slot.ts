/**
 * Which of the slots of a Redis Cluster a key or a sharded channel has: CRC16 (XMODEM) of the name, or of its hash tag.
 * Source: "Redis cluster specification", key distribution model.
 */
const SLOTS = 16_384;
const POLYNOMIAL = 0x1021;

export function slotOf(name: string): number {
  const tag = /\{([^}]+)\}/.exec(name);
  // `{}` is no tag, and one after it is not looked for.
  const hashed = tag === null || name.indexOf('{') !== tag.index ? name : (tag[1] as string);
  let crc = 0;
  for (const byte of Buffer.from(hashed)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ POLYNOMIAL;
    crc &= 0xffff;
  }
  return crc % SLOTS;
}
