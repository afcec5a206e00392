/** Deletions as a layer tar tells them (OCI image spec, layer.md, "Whiteouts"). */
import { asByteString } from '#ground/base/byte-string.ts';

/** A file `.wh.NAME` deletes NAME of the layers below. */
export const whiteoutPrefix = '.wh.';
/** This file in a folder hides all that the layers below have in it. */
export const opaqueMark = asByteString('.wh..wh..opq');
/** Names with which aufs kept house; `opaqueMark` is the only one with a meaning. */
export const metadataPrefix = '.wh..wh.';
