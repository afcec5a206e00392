/** Content descriptors: OCI image spec, descriptor.md. */
import * as v from 'valibot';
import { isDigest, type Digest } from '#ground/base/digest.ts';
import { isJsonObject, stringMap } from '#ground/base/decode.ts';
import type { Platform } from './platform.ts';

export type Descriptor = {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly urls?: readonly string[];
  readonly artifactType?: string;
};

const platformSchema = v.looseObject({
  os: v.string(),
  architecture: v.string(),
  variant: v.exactOptional(v.string()),
  'os.version': v.exactOptional(v.string()),
  'os.features': v.exactOptional(v.array(v.string())),
});

/** A media type as RFC 6838 spells it, with room for what people made up. */
const mediaTypeSchema = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$/u),
  v.maxLength(255),
);

const digestSchema = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'Invalid digest');

export const descriptorSchema = v.looseObject({
  mediaType: mediaTypeSchema,
  digest: digestSchema,
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  platform: v.exactOptional(platformSchema),
  annotations: v.exactOptional(stringMap()),
  urls: v.exactOptional(v.array(v.string())),
  artifactType: v.exactOptional(v.string()),
});

/** The same descriptor document without members that are `null`: some writers put null where they mean nothing. */
export function withoutNulls(value: unknown): unknown {
  return isJsonObject(value) ? Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null)) : value;
}
