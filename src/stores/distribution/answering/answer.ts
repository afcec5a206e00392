/** What is asked of the server and what it says, without sockets. Form of errors: OCI distribution spec, "Error Codes". */

export type Call = {
  readonly method: string;
  readonly query: URLSearchParams;
  /** The first value of a header, by its name in lower case. */
  readonly header: (name: string) => string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** Closes the connection that it came by. */
  readonly giveUp: () => void;
};

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** A stream says how many bytes it has; nothing of it is read when only the headers were asked for. */
  readonly body?: Uint8Array | { readonly size: number; readonly open: () => AsyncIterable<Uint8Array> };
};

/** Codes of the specification, and `UNKNOWN` of Docker's registry for what it has none for. */
export type RefusalCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'UNSUPPORTED'
  | 'TOOMANYREQUESTS'
  | 'UNKNOWN';

export function answerJson(value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json', ...headers },
    body: new TextEncoder().encode(JSON.stringify(value)),
  };
}

/** An answer without a body. */
export function answerEmpty(status: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers };
}

export function refuse(status: number, code: RefusalCode, message: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { ...answerJson({ errors: [{ code, message, detail: null }] }, headers), status };
}
