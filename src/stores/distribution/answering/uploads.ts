/** Blobs on their way in: OCI distribution spec, "Pushing blobs" (at once, in one PUT, in chunks) and "Mounting a blob from another repository". */
import { isDigest, type Digest } from '#ground/base/digest.ts';
import { answerEmpty, refuse, type Answer, type Call } from './answer.ts';
import { openSession, type Session } from './session.ts';
import { holdBlob, sizeOfBlob, type Shelf } from './shelf.ts';

export type Uploads = Disposable & {
  /** POST to `uploads/`. */
  begin(repository: string, call: Call, signal: AbortSignal): Promise<Answer>;
  /** GET, PATCH, PUT and DELETE on one. */
  go(repository: string, id: string, call: Call, signal: AbortSignal): Promise<Answer>;
};

type Upload = { readonly repository: string; readonly session: Session };

/** Each has a file open. */
const mostUploads = 200;
/** Nobody has touched it for so long, in milliseconds: it is forgotten. */
const longestIdle = 3_600_000;

/** Uploads are known to this process alone: what has not been finished when it ends is removed, at the latest by the next one. */
export function openUploads(shelf: Shelf): Uploads {
  const uploads = new Map<string, Upload>();
  const end = (id: string): void => {
    uploads.get(id)?.session[Symbol.dispose]();
    uploads.delete(id);
  };
  const finish = async (id: string, { repository, session }: Upload, call: Call, signal: AbortSignal): Promise<Answer> => {
    const digest = call.query.get('digest') ?? '';
    if (!isDigest(digest)) return refuse(400, 'DIGEST_INVALID', 'the upload ends without a digest');
    // One that breaks off here can go on.
    await session.append(call.body);
    try {
      const found = await session.keep(digest, signal);
      if (found !== digest) return refuse(400, 'DIGEST_INVALID', `the bytes have the digest ${found}`);
      return holdBlob(shelf, repository, digest) ? created(repository, digest) : refuse(500, 'UNKNOWN', 'the blob was just removed');
    } finally {
      end(id);
    }
  };
  return {
    async begin(repository, call, signal) {
      const mounted = mount(shelf, repository, call.query);
      if (mounted !== undefined) return mounted;
      for (const [id, { session }] of uploads) if (session.idle() > longestIdle) end(id);
      if (uploads.size >= mostUploads) return refuse(429, 'TOOMANYREQUESTS', 'too many uploads at once');
      const upload = { repository, session: openSession(shelf.content) };
      const { id } = upload.session;
      uploads.set(id, upload);
      if (!call.query.has('digest')) return answerEmpty(202, progress(upload));
      try {
        return await finish(id, upload, call, signal);
      } finally {
        end(id);
      }
    },
    async go(repository, id, call, signal) {
      const upload = uploads.get(id);
      if (upload?.repository !== repository) return unknown();
      using _ = await upload.session.turn(call.giveUp);
      if (!upload.session.isOpen()) return unknown();
      if (call.method === 'GET') return answerEmpty(204, progress(upload));
      if (call.method === 'DELETE') {
        end(id);
        return answerEmpty(204);
      }
      if (!fits(call.header('content-range'), upload.session.offset())) {
        return refuse(416, 'BLOB_UPLOAD_INVALID', 'the chunk does not follow what has come', progress(upload));
      }
      if (call.method === 'PUT') return await finish(id, upload, call, signal);
      await upload.session.append(call.body);
      return answerEmpty(202, progress(upload));
    },
    [Symbol.dispose]() {
      for (const id of uploads.keys()) end(id);
    },
  };
}

function unknown(): Answer {
  return refuse(404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown');
}

/** A blob that another repository (any, where none is named) has becomes this one's. undefined: it has to be sent. */
function mount(shelf: Shelf, repository: string, query: URLSearchParams): Answer | undefined {
  const digest = query.get('mount') ?? '';
  if (!isDigest(digest)) return undefined;
  const from = query.get('from');
  const isThere = from === null ? shelf.repositories.isHeld(digest) : sizeOfBlob(shelf, from, digest) !== undefined;
  return isThere && shelf.content.has(digest) && holdBlob(shelf, repository, digest) ? created(repository, digest) : undefined;
}

function created(repository: string, digest: Digest): Answer {
  return answerEmpty(201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest });
}

function progress({ repository, session }: Upload): Readonly<Record<string, string>> {
  return {
    location: `/v2/${repository}/blobs/uploads/${session.id}`,
    range: `0-${Math.max(0, session.offset() - 1)}`,
    'docker-upload-uuid': session.id,
  };
}

/** `START-END` of a chunk, as the specification has it, also with `bytes` before. */
function fits(header: string | undefined, offset: number): boolean {
  if (header === undefined) return true;
  const start = /^(?:bytes[ =])?(\d+)-\d+/u.exec(header)?.[1];
  return start !== undefined && Number(start) === offset;
}
