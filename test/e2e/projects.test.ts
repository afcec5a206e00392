/**
 * Dockerfiles of the size and manner of well-known projects (`test/fixtures/projects`), each built and set beside `expected.txt`, which was listed from the
 * image that `docker buildx build` makes of it. Compilers and package managers are stood in for by one script (`toolchain/tool`), since the tests have no network;
 * `flags` holds what else is on the command line.
 *
 * To record: put `docker save` archives of the base and of each project, built on that base and toolchain, in a folder as NAME.tar (the base as debian.tar), and run
 * `PROJECT_ARCHIVES=folder node --test test/e2e/projects.test.ts`.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listImage, readImage, type ListedImage } from '#test/kit/image-listing.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

const projects = fileURLToPath(new URL('../fixtures/projects', import.meta.url));
const recorded = process.env['PROJECT_ARCHIVES'];
const names = readdirSync(projects).filter((name) => name !== 'toolchain');
const aliases: Readonly<Record<string, readonly string[]>> = {
  toolchain: ['node:22', 'golang:1.24', 'rust:1.83', 'python:3.12-slim', 'gcc:14', 'eclipse-temurin:21-jdk'],
  debian: ['debian:slim', 'debian:stable-slim', 'nginx:1.27-slim'],
};
let sandbox: Sandbox;
let base: ListedImage;

before(async () => {
  sandbox = await openSandbox();
  if (recorded !== undefined) {
    base = readImage(join(recorded, 'debian.tar'));
    return;
  }
  await sandbox.base('debian');
  await sandbox.succeed(['build', '-q', '-t', 'toolchain', join(projects, 'toolchain')]);
  for (const [image, more] of Object.entries(aliases)) for (const name of more) await sandbox.succeed(['tag', image, name]);
  await sandbox.succeed(['save', '-o', join(sandbox.folder, 'debian.tar'), 'debian']);
  base = readImage(join(sandbox.folder, 'debian.tar'));
});
after(async () => await sandbox[Symbol.asyncDispose]());

for (const name of names) {
  test(`${name}: the image that docker buildx makes`, async () => {
    const expected = join(projects, name, 'expected.txt');
    if (recorded !== undefined) {
      writeFileSync(expected, listImage(readImage(join(recorded, `${name}.tar`)), base));
      return;
    }
    const archive = join(sandbox.folder, `${name}.tar`);
    await sandbox.succeed(['build', '--progress', 'plain', ...flagsOf(name), '-o', `type=docker,dest=${archive}`, contextOf(name)]);
    const listing = listImage(readImage(archive), base);
    rmSync(archive);
    assert.deepEqual(listing.split('\n'), readFileSync(expected, 'utf8').split('\n'));
  });
}

/** A copy, without what is only for this test. */
function contextOf(name: string): string {
  const context = join(sandbox.folder, 'contexts', name);
  cpSync(join(projects, name), context, { recursive: true });
  for (const own of ['expected.txt', 'flags']) rmSync(join(context, own), { force: true });
  return context;
}

function flagsOf(name: string): readonly string[] {
  const file = join(projects, name, 'flags');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ') : [];
}
