/** Content descriptors: OCI image spec, descriptor.md. */
import type { Digest } from '#ground/base/digest.ts';
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
