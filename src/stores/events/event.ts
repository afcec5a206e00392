/** Something that happened to a container, an image, a volume or a network: docker's events. */
import * as v from 'valibot';
import { stringMap } from '#ground/base/decode.ts';

export const eventTypes = ['container', 'image', 'network', 'volume'] as const;

const eventSchema = v.object({
  /** Milliseconds since the epoch, and the nanoseconds behind them: those of one process differ. */
  at: v.number(),
  nanoseconds: v.number(),
  type: v.picklist(eventTypes),
  /** `start`, `health_status: healthy` */
  action: v.string(),
  /** Of what it happened to: its name where it has no id. */
  id: v.string(),
  attributes: stringMap(),
});

export type StoreEvent = Readonly<v.InferOutput<typeof eventSchema>>;
export type NewEvent = Pick<StoreEvent, 'type' | 'action' | 'id' | 'attributes'>;

/** undefined for a line that was cut off, or is of a later version. */
export function decodeEvent(line: string): StoreEvent | undefined {
  const read = v.safeParse(v.pipe(v.string(), v.parseJson(), eventSchema), line);
  return read.success ? read.output : undefined;
}
