/** Where images come from and go to beside registries, in the words of containers-transports(5): `docker-archive:FILE:NAME`, `oci:FOLDER:NAME` and the like. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { JettisonError } from '#ground/base/errors.ts';

export type Transport =
  /** A registry. */
  | { readonly kind: 'docker'; readonly reference: string }
  /** The name in it, else the one image, or all; `index`: which one of those in its manifest.json. */
  | { readonly kind: 'docker-archive'; readonly path: string; readonly name: string | undefined; readonly index: number | undefined }
  /** The annotation `org.opencontainers.image.ref.name` of the image in it. */
  | { readonly kind: 'oci-archive' | 'oci'; readonly path: string; readonly name: string | undefined }
  | { readonly kind: 'dir'; readonly path: string };

/** Files and folders. */
export type LocalTransport = Exclude<Transport, { readonly kind: 'docker' }>;

const words =
  /^(docker|docker-archive|oci-archive|oci|dir|containers-storage|docker-daemon|ostree|sif|tarball|docker-tarball|atomic):(.*)$/su;

const refusals: ReadonlyMap<string, string> = new Map([
  [
    'containers-storage',
    'The images of Podman and Buildah lie in a store of theirs: "podman save NAME | jettison load", or name a registry or a file',
  ],
  ['docker-daemon', 'There is no daemon to ask: "docker save NAME | jettison load" and "jettison save NAME | docker load" do it'],
  ['ostree', 'Use "oci:FOLDER:NAME"'],
  ['sif', 'Use "oci-archive:FILE:NAME", which other tools convert'],
  ['tarball', '"jettison import FILE" makes an image of the files of a tar'],
  ['docker-tarball', 'Use "docker-archive:FILE:NAME"'],
  ['atomic', 'Name the registry: "docker://HOST/NAME:TAG"'],
]);

/**
 * What a text means. `hint: 'image'`: it may as well be the name of an image, such as `docker:dind` and `oci:1`; then it is a transport where nothing else can be
 * meant, or where such a folder is. undefined: it is none. Throws `engine/bad-transport`, `engine/no-transport`.
 */
export function parseTransport(
  text: string,
  { folder, hint }: { readonly folder: string; readonly hint: 'image' | 'place' },
): Transport | undefined {
  const [, kind = '', rest = ''] = words.exec(text) ?? [];
  switch (kind) {
    case '':
      return undefined;
    case 'docker':
      if (rest.startsWith('//')) return { kind, reference: rest.slice(2) };
      if (hint === 'image') return undefined;
      throw badTransport(text, 'after "docker:" comes "//" and the name');
    case 'docker-archive':
      return { kind, ...readArchive(text, rest, folder) };
    case 'oci-archive':
    case 'oci': {
      const { path, name } = splitPlace(text, rest, folder);
      if (kind === 'oci' && hint === 'image' && isImageName(rest) && !isFolder(path)) return undefined;
      return { kind, path, name };
    }
    case 'dir': {
      const path = resolve(folder, rest);
      if (rest === '') throw badTransport(text, 'the path is missing');
      return hint === 'image' && isImageName(rest) && !isFolder(path) ? undefined : { kind, path };
    }
    default:
      throw new JettisonError('engine/no-transport', `"${kind}:" is no place that jettison reads from or writes to`, {
        hint: refusals.get(kind) ?? '',
      });
  }
}

/** As `NAME:TAG` is written: a tag has neither slash nor colon. */
function isImageName(rest: string): boolean {
  return /^[\w][\w.-]{0,127}(?:@.*)?$/u.test(rest);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function splitPlace(text: string, rest: string, folder: string): { readonly path: string; readonly name: string | undefined } {
  const colon = rest.indexOf(':');
  const path = colon === -1 ? rest : rest.slice(0, colon);
  const name = colon === -1 ? undefined : rest.slice(colon + 1);
  if (path === '') throw badTransport(text, 'the path is missing');
  if (name !== undefined && !/^[A-Za-z0-9](?:[\w.:@/+-]*[A-Za-z0-9])?$/u.test(name)) throw badTransport(text, `"${name}" is no name in it`);
  return { path: resolve(folder, path), name };
}

function readArchive(text: string, rest: string, folder: string): Omit<Extract<Transport, { kind: 'docker-archive' }>, 'kind'> {
  const [, before = '', number] = /^(.*):@(\d{1,4})$/su.exec(rest) ?? [];
  if (number !== undefined) return { ...splitPlace(text, before, folder), index: Number(number) };
  return { ...splitPlace(text, rest, folder), index: undefined };
}

function badTransport(text: string, why: string): JettisonError {
  return new JettisonError('engine/bad-transport', `Cannot use "${text.slice(0, 300)}": ${why}`, {
    hint: 'There is docker://NAME, docker-archive:FILE[:NAME], oci-archive:FILE[:NAME], oci:FOLDER[:NAME] and dir:FOLDER',
  });
}
