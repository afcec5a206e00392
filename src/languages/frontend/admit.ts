/**
 * Sources as a source policy knows them: by the names that BuildKit's graph gives them (`docker-image://docker.io/library/busybox:latest`, `https://host/file`,
 * `git://host/repository.git#ref:folder`, `local://context`), and what of a policy's answer can be used.
 */
import { isDigest, parseDigest } from '#ground/base/digest-form.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { SourceGitOp, SourceHttpOp } from '#formats/graph/op.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';

export type NamedSource = {
  readonly identifier: string;
  /** Such as `http.checksum`, `git.fullurl`. */
  readonly attributes: Readonly<Record<string, string>>;
};

/** Gives what is to be used for a source. Throws `frontend/source-denied`, `frontend/bad-conversion`. */
export type Admit = (source: NamedSource) => NamedSource;

const imageScheme = 'docker-image://';

/** The reference, in full, to use for that of an image. Throws like `Admit`. */
export function admitImage(admit: Admit, reference: string): string {
  const identifier = `${imageScheme}${printReference(withDefaultTag(parseReference(reference)))}`;
  const { identifier: found, attributes } = admit({ identifier, attributes: {} });
  refuseAttributes(attributes, [], identifier);
  if (!found.startsWith(imageScheme)) throw otherKind(identifier, found);
  return found.slice(imageScheme.length);
}

/** A source that nothing else can stand for, such as `local://context`. Throws like `Admit`. */
export function admitFolder(admit: Admit, identifier: string): void {
  const found = admit({ identifier, attributes: {} }).identifier;
  if (found !== identifier) throw otherKind(identifier, found);
}

/** Throws like `Admit`. */
export function admitRemote<T extends SourceHttpOp | SourceGitOp>(admit: Admit, op: T): T | SourceHttpOp | SourceGitOp {
  return op.kind === 'source-http' ? admitHttp(admit, op) : admitGit(admit, op);
}

/** The name of the file stays that of the Dockerfile's address. */
export function admitHttp(admit: Admit, op: SourceHttpOp): SourceHttpOp {
  const own = { 'http.filename': op.name, ...(op.checksum === null ? {} : { 'http.checksum': op.checksum }) };
  const { identifier, attributes } = admit({ identifier: op.url, attributes: own });
  if (!/^https?:\/\//u.test(identifier) || !URL.canParse(identifier)) throw otherKind(op.url, identifier);
  const { 'http.checksum': checksum } = attributes;
  refuseAttributes(attributes, ['http.checksum', 'http.filename'], op.url);
  if (attributes['http.filename'] !== op.name) throw badAttribute('http.filename', op.url);
  if (checksum !== undefined && !isDigest(checksum)) throw badAttribute('http.checksum', op.url);
  return { ...op, url: identifier, checksum: checksum === undefined ? null : parseDigest(checksum) };
}

const gitScheme = 'git://';

/** A converted repository is asked at its `git.fullurl`, else by https. */
export function admitGit(admit: Admit, op: SourceGitOp): SourceGitOp {
  const place = op.remote
    .replace(/^[a-z]+:\/\//u, '')
    .replace(/^[^/@]*@/u, '')
    .replace(/^([^/:]+):(?!\d+\/)/u, '$1/');
  const fragment = `${op.ref}${op.subfolder === '' ? '' : `:${op.subfolder}`}`;
  const identifier = `${gitScheme}${place}${fragment === '' ? '' : `#${fragment}`}`;
  const own = {
    'git.fullurl': op.remote,
    ...(op.checksum === '' ? {} : { 'git.checksum': op.checksum }),
    ...(op.keepGitFolder ? { 'git.keepgitdir': 'true' } : {}),
  };
  const found = admit({ identifier, attributes: own });
  refuseAttributes(found.attributes, ['git.fullurl', 'git.checksum', 'git.keepgitdir'], identifier);
  if (!found.identifier.startsWith(gitScheme)) throw otherKind(identifier, found.identifier);
  const [newPlace = '', newFragment = ''] = found.identifier.slice(gitScheme.length).split(/#(.*)/su, 2);
  const [ref = '', subfolder = ''] = newFragment.split(/:(.*)/su, 2);
  const { 'git.fullurl': url = op.remote, 'git.checksum': checksum = '', 'git.keepgitdir': keeps } = found.attributes;
  if (checksum !== '' && !/^[\da-f]{1,64}$/u.test(checksum)) throw badAttribute('git.checksum', identifier);
  const remote = url !== op.remote || newPlace === place ? url : `https://${newPlace}`;
  return { ...op, remote, ref, subfolder, checksum, keepGitFolder: keeps === 'true' };
}

function refuseAttributes(attributes: NamedSource['attributes'], known: readonly string[], identifier: string): void {
  const other = Object.keys(attributes).find((key) => !known.includes(key));
  if (other !== undefined) throw badAttribute(other, identifier);
}

function badAttribute(key: string, identifier: string): JettisonError {
  return new JettisonError('frontend/bad-conversion', `The source policy sets "${key}" of "${identifier}", which cannot be changed so`, {
    hint: 'There is "http.checksum" for files, and "git.fullurl", "git.checksum" and "git.keepgitdir" for repositories',
  });
}

function otherKind(identifier: string, found: string): JettisonError {
  return new JettisonError(
    'frontend/bad-conversion',
    `The source policy makes "${found}" of "${identifier}", which is a source of another kind`,
    {
      hint: 'Images stand for images, files from the web for such files, repositories for repositories',
    },
  );
}
