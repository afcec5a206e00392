/** The value of `--mount`: `type=bind,source=/a,target=/b,readonly`, by the docker CLI's keys and with its words. */
import { resolve } from 'node:path';
import type { AskedMount } from '#engine/container-requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { badValue } from '../option.ts';
import { readSize, splitFields } from '../option-values.ts';
import { checkPropagation, noDriver, tmpfsOptions } from './mount-modes.ts';

type Draft = {
  type: string;
  source: string | undefined;
  target: string | undefined;
  readOnly: boolean;
  propagation: string | undefined;
  recursive: string;
  makesSource: boolean;
  noCopy: boolean;
  labels: Record<string, string>;
  options: Record<string, string>;
  subpath: string | undefined;
  imageSubpath: string | undefined;
  tmpfs: string[];
  /** Beginnings of the keys that belong to one type: `bind`. */
  readonly families: Set<string>;
};
type Refuse = (why: string) => never;

/** Throws `cli/bad-value`, `cli/not-built`. */
export function readMount(given: string, currentFolder: string): AskedMount {
  const refuse: Refuse = (why) => {
    throw badValue('mount', given, why);
  };
  const draft: Draft = {
    type: 'volume',
    source: undefined,
    target: undefined,
    readOnly: false,
    propagation: undefined,
    recursive: 'enabled',
    makesSource: false,
    noCopy: false,
    labels: {},
    options: {},
    subpath: undefined,
    imageSubpath: undefined,
    tmpfs: [],
    families: new Set(),
  };
  if (given === '') refuse('value is empty');
  for (const field of splitFields(given)) readField(draft, field, refuse);
  if (draft.type === '') refuse('type is required');
  if (draft.target === undefined || draft.target === '') refuse('target is required');
  for (const family of draft.families) {
    if (family !== draft.type) refuse(`cannot mix '${family}-*' options with mount type '${draft.type}'`);
  }
  return mountOf({ ...draft, target: draft.target ?? '' }, { given, currentFolder, refuse });
}

function readField(draft: Draft, field: string, refuse: Refuse): void {
  const equals = field.indexOf('=');
  const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
  const value = equals < 0 ? undefined : field.slice(equals + 1);
  const isSwitch = ['readonly', 'ro', 'volume-nocopy', 'bind-nonrecursive', 'bind-create-src'].includes(key);
  if (value === undefined && !isSwitch) refuse(`invalid field '${field}' must be a key=value pair`);
  const family = /^(bind|volume|tmpfs|image)-/u.exec(key)?.[1];
  if (family !== undefined) draft.families.add(family);
  const text = value ?? 'true';
  const truth = (): boolean => parseBoolean(text) ?? refuse(`invalid value for ${key}: ${text}`);
  switch (key) {
    case 'type':
      draft.type = text.toLowerCase();
      return;
    case 'source':
    case 'src':
      draft.source = text;
      return;
    case 'target':
    case 'dst':
    case 'destination':
      draft.target = text;
      return;
    case 'readonly':
    case 'ro':
      draft.readOnly = truth();
      return;
    case 'consistency':
      return;
    case 'bind-propagation':
      draft.propagation = text.toLowerCase();
      return;
    case 'bind-nonrecursive':
      draft.recursive = truth() ? 'disabled' : 'enabled';
      return;
    case 'bind-recursive':
      draft.recursive = text;
      return;
    case 'bind-create-src':
      draft.makesSource = truth();
      return;
    case 'volume-nocopy':
      draft.noCopy = truth();
      return;
    case 'volume-label':
      draft.labels = withPair(draft.labels, text);
      return;
    case 'volume-driver':
      if (text !== 'local' && text !== '') throw noDriver(text);
      return;
    case 'volume-opt':
      draft.options = withPair(draft.options, text);
      return;
    case 'volume-subpath':
      draft.subpath = text;
      return;
    case 'image-subpath':
      draft.imageSubpath = text;
      return;
    case 'tmpfs-size':
      draft.tmpfs.push(`size=${readSize('mount', text)}`);
      return;
    case 'tmpfs-mode':
      if (!/^[0-7]{1,4}$/u.test(text)) refuse(`invalid value for ${key}: ${text}`);
      draft.tmpfs.push(`mode=${text}`);
      return;
    case 'tmpfs-options':
      draft.tmpfs.push(text);
      return;
    default:
      refuse(`unexpected key '${key}' in '${field}'`);
  }
}

function withPair(pairs: Record<string, string>, text: string): Record<string, string> {
  const [name = '', ...rest] = text.split('=');
  return name === '' ? pairs : { ...pairs, [name]: rest.join('=') };
}

type Whole = Draft & { readonly target: string };
type About = { readonly given: string; readonly currentFolder: string; readonly refuse: Refuse };

function mountOf(draft: Whole, about: About): AskedMount {
  const { type, source, target, readOnly } = draft;
  const { given, refuse } = about;
  switch (type) {
    case 'bind':
      return bindOf(draft, about);
    case 'volume': {
      const name = source === '' ? undefined : source;
      if (readOnly && name === undefined) refuse('must not set ReadOnly mode when using anonymous volumes');
      if (draft.subpath !== undefined && name === undefined) refuse('must not set Subpath when using anonymous volumes');
      if (draft.subpath !== undefined && !isLocal(draft.subpath)) refuse('subpath must be a relative path within the volume');
      const subpath = draft.subpath === undefined || draft.subpath === '' ? {} : { subpath: draft.subpath };
      const { labels, options } = draft;
      return { kind: 'volume', name, target, readOnly, mode: 'z', fills: !draft.noCopy, labels, options, ...subpath };
    }
    case 'tmpfs': {
      if (source !== undefined && source !== '') refuse('field Source must not be specified');
      return { kind: 'tmpfs', target, ...tmpfsOptions('mount', given, [...draft.tmpfs, readOnly ? 'ro' : ''].join(',')) };
    }
    case 'image': {
      if (source === undefined || source === '') return refuse('field Source must not be empty');
      if (draft.imageSubpath !== undefined && !isLocal(draft.imageSubpath)) refuse('subpath must be a relative path within the image');
      const subpath = draft.imageSubpath === undefined || draft.imageSubpath === '' ? {} : { subpath: draft.imageSubpath };
      return { kind: 'image', source, target, readOnly: true, mode: '', ...subpath };
    }
    case 'npipe':
    case 'cluster':
      throw new JettisonError('cli/not-built', `Mounts of type "${type}" are not built yet`, {
        hint: 'There is bind, volume, tmpfs and image',
      });
    default:
      return refuse(`invalid mount config for type "${type}": mount type unknown`);
  }
}

function bindOf({ source, target, readOnly, recursive, propagation, makesSource }: Whole, about: About): AskedMount {
  const { given, currentFolder, refuse } = about;
  if (source === undefined || source === '') return refuse('field Source must not be empty');
  const path = source === '.' || /^\.\.?\//u.test(source) ? resolve(currentFolder, source) : source;
  if (!path.startsWith('/')) refuse(`invalid mount path: '${path}' mount path must be absolute`);
  if (!['enabled', 'disabled', 'writable', 'readonly'].includes(recursive)) refuse(`invalid value for bind-recursive: ${recursive}`);
  if (recursive === 'readonly' && !readOnly) refuse('option bind-recursive=readonly requires readonly');
  checkPropagation('mount', given, propagation);
  const isRecursive = recursive !== 'disabled';
  return { kind: 'bind', source: path, target, readOnly, mode: '', makesSource, isRecursive, isShallow: recursive === 'writable' };
}

/** Nothing of it leads up. The kernel looks again when it is mounted. */
function isLocal(path: string): boolean {
  return !path.startsWith('/') && !path.split('/').includes('..');
}
