/**
 * A certificate for 127.0.0.1 and localhost that vouches for itself, made with openssl, gone with the test.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Certificates {
  readonly keyFile: string;
  readonly certFile: string;
  /** What clients trust. */
  readonly caFile: string;
  remove(): Promise<void>;
}

export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-certificates-'));
  const keyFile = join(folder, 'key.pem');
  const certFile = join(folder, 'cert.pem');
  const key = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await promisify(execFile)('openssl', ['req', ...key, ...subject, '-keyout', keyFile, '-out', certFile]);
  return { keyFile, certFile, caFile: certFile, remove: () => rm(folder, { recursive: true, force: true }) };
}
