import { ByteBuffer } from 'flatbuffers';
import type { Field as FieldTable } from 'apache-arrow/fb/field';
import type { ByteSource } from '../byte-source.js';
import { createForwardReader } from './read-ahead.js';

/** Where a message of an Arrow stream lies, its length prefix included. */
export interface MessageExtent {
  readonly kind: 'schema' | 'dictionary' | 'batch';
  readonly start: number;
  readonly end: number;
  /** Rows of a batch; 0 otherwise. */
  readonly rows: number;
}

/** A schema of ten thousand fields is 2 MB; `datasets` keeps its features in it, as JSON, too. */
const MAX_METADATA_BYTES = 64 << 20;

/** A batch is read whole. Writers make batches of a thousand to a million rows. */
const MAX_BODY_BYTES = 1 << 30;
const MAX_BATCH_ROWS = 1 << 24;

/** Fields and notes of a schema, nested ones counted: offsets of a hostile file make a few of them look like millions. */
const MAX_FIELDS = 10_000;
const MAX_FIELD_DEPTH = 64;

const CONTINUATION = 0xffffffff;
const PREFIX_BYTES = 8;

/**
 * Walks the messages of an Arrow IPC stream from `start` on, without their bodies. A file is a stream between its magic
 * and its footer, so that this reads both.
 *
 * @throws Error for lengths that the file cannot have
 */
export async function listMessages(source: ByteSource, start: number): Promise<MessageExtent[]> {
  const [{ Message }, { MessageHeader }, { RecordBatch }, { DictionaryBatch }, { Schema }] = await Promise.all([
    import('apache-arrow/fb/message'),
    import('apache-arrow/fb/message-header'),
    import('apache-arrow/fb/record-batch'),
    import('apache-arrow/fb/dictionary-batch'),
    import('apache-arrow/fb/schema'),
  ]);
  const reader = createForwardReader(source, source.byteLength);
  const extents: MessageExtent[] = [];
  let position = start;
  while (position < source.byteLength) {
    if (position + PREFIX_BYTES > source.byteLength) throw new Error('its last message is cut off');
    const prefix = viewOf(await reader.peek(position, PREFIX_BYTES));
    const continued = prefix.getUint32(0, true) === CONTINUATION;
    const header = continued ? PREFIX_BYTES : PREFIX_BYTES / 2;
    const length = prefix.getInt32(header - 4, true);
    if (length === 0) break;
    if (length < 0 || length > MAX_METADATA_BYTES) throw new Error(`a message claims ${length} bytes of metadata`);
    const metadata = (await reader.peek(position + header, length)).slice();
    if (metadata.length < length) throw new Error(`its last message is cut off`);
    const message = Message.getRootAsMessage(new ByteBuffer(metadata));
    if (message.customMetadataLength() > MAX_FIELDS) throw new Error('a message has too many notes');
    const body = Number(message.bodyLength());
    if (!(body >= 0 && body <= MAX_BODY_BYTES)) throw new Error(`a message claims a body of ${body} bytes`);
    const end = position + header + length + body;
    if (end > source.byteLength) throw new Error('its last message is cut off');
    const type = message.headerType();
    if (type === MessageHeader.Schema) {
      const schema: InstanceType<typeof Schema> | null = message.header(new Schema());
      const budget = { left: MAX_FIELDS };
      spend(budget, schema?.customMetadataLength() ?? 0);
      checkFields(schema?.fieldsLength() ?? 0, (index) => schema?.fields(index) ?? null, budget, 0);
      extents.push({ kind: 'schema', start: position, end, rows: 0 });
    } else if (type === MessageHeader.RecordBatch || type === MessageHeader.DictionaryBatch) {
      const batch: InstanceType<typeof RecordBatch> | null =
        type === MessageHeader.RecordBatch
          ? message.header(new RecordBatch())
          : (message.header(new DictionaryBatch())?.data() ?? null);
      const rows = Number(batch?.length() ?? 0);
      // Nodes and buffers are records of 16 bytes.
      const entries = (batch?.nodesLength() ?? 0) + (batch?.buffersLength() ?? 0);
      if (!(rows >= 0 && rows <= MAX_BATCH_ROWS && entries * 16 <= length)) throw new Error('a batch has wrong counts');
      const kind = type === MessageHeader.RecordBatch ? 'batch' : 'dictionary';
      extents.push({ kind, start: position, end, rows: kind === 'batch' ? rows : 0 });
    } else {
      throw new Error(`a message is of unknown type ${type}`);
    }
    position = end;
  }
  if (extents[0]?.kind !== 'schema') throw new Error('it does not begin with a schema');
  return extents;
}

function checkFields(
  count: number,
  field: (index: number) => FieldTable | null,
  budget: { left: number },
  depth: number,
): void {
  if (depth > MAX_FIELD_DEPTH) throw new Error('its schema is nested too deeply');
  spend(budget, count);
  for (let index = 0; index < count; index++) {
    const child = field(index);
    if (child === null) throw new Error('a field of its schema is missing');
    spend(budget, child.customMetadataLength());
    checkFields(child.childrenLength(), (at) => child.children(at), budget, depth + 1);
  }
}

function spend(budget: { left: number }, count: number): void {
  budget.left -= count;
  if (budget.left < 0) throw new Error('its schema has too many fields');
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
