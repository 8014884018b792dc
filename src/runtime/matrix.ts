import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
  type AttributeProto,
  type ValueInfoProto,
} from 'onnx-buf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { SENTINEL_NODE, SENTINEL_OUTPUT } from '../graph/sentinel.js';
import { runInPlace } from './in-place.js';
import { refuseTelemetry } from './telemetry.js';

/** Y[m, n] = alpha · op(A)[m, k] · op(B)[k, n] + C[m, n]; all row-major and contiguous. */
export interface GemmShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

export interface GemmOptions {
  /** A is stored as [k, m]. */
  readonly transA?: boolean;
  /** B is stored as [n, k]. */
  readonly transB?: boolean;
  readonly alpha?: number;
  /** Added to the product; may be the same view as `out`, which makes it an update in place. */
  readonly addend?: Float32Array;
  /** Where the product goes; a fresh array when left out. Must overlap neither A nor B. */
  readonly out?: Float32Array;
}

const OPSET = 21n;
const IR_VERSION = 10n;

/**
 * Matrix product on onnxruntime's CPU kernels. One session per (transA, transB, alpha, addend?) serves every shape and is
 * cached for the life of the worker; sessions use one intra-op thread, because the parallelism is over workers.
 *
 * A call costs 30–60 µs besides its arithmetic, so give it at least some MFLOP.
 *
 * @returns `options.out`, or the fresh product
 */
export async function gemm(
  a: Float32Array,
  b: Float32Array,
  { m, n, k }: GemmShape,
  options: GemmOptions = {},
): Promise<Float32Array> {
  const { transA = false, transB = false, alpha = 1, addend, out = new Float32Array(m * n) } = options;
  if (a.length !== m * k || b.length !== k * n || out.length !== m * n || (addend && addend.length !== m * n)) {
    throw new RangeError(
      `Cannot multiply [${m}, ${k}] by [${k}, ${n}]: the operands hold ${a.length} and ${b.length} values, the result ${out.length}`,
    );
  }
  if (m === 0 || n === 0) return out;
  if (k === 0) {
    if (addend === undefined) out.fill(0);
    else if (addend !== out) out.set(addend);
    return out;
  }
  const session = await gemmSession(transA, transB, alpha, addend !== undefined);
  const feeds: Record<string, Tensor> = {
    a: new Tensor('float32', a, transA ? [k, m] : [m, k]),
    b: new Tensor('float32', b, transB ? [n, k] : [k, n]),
  };
  if (addend !== undefined) feeds['c'] = new Tensor('float32', addend, [m, n]);
  await runInPlace(session, feeds, { y: new Tensor('float32', out, [m, n]) });
  return out;
}

const sessions = new Map<string, Promise<InferenceSession>>();

function gemmSession(transA: boolean, transB: boolean, alpha: number, addend: boolean): Promise<InferenceSession> {
  const key = `${transA} ${transB} ${alpha} ${addend}`;
  let session = sessions.get(key);
  if (session === undefined) {
    refuseTelemetry();
    session = InferenceSession.create(gemmModel(transA, transB, alpha, addend), {
      executionProviders: ['cpu'],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      enableMemPattern: false,
    });
    sessions.set(key, session);
  }
  return session;
}

function gemmModel(transA: boolean, transB: boolean, alpha: number, addend: boolean): Uint8Array {
  const operands = addend ? ['a', 'b', 'c'] : ['a', 'b'];
  const node = create(NodeProtoSchema, {
    opType: 'Gemm',
    input: operands,
    output: ['y'],
    attribute: [
      create(AttributeProtoSchema, { name: 'alpha', type: AttributeProto_AttributeType.FLOAT, f: alpha }),
      switchAttribute('transA', transA),
      switchAttribute('transB', transB),
    ],
  });
  const graph = create(GraphProtoSchema, {
    name: 'gemm',
    node: [node, SENTINEL_NODE],
    input: operands.map((name) => matrixInfo(name)),
    output: [SENTINEL_OUTPUT, matrixInfo('y')],
  });
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: 'evenkeel',
    graph,
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: OPSET })],
  });
  return toBinary(ModelProtoSchema, model);
}

function switchAttribute(name: string, value: boolean): AttributeProto {
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: value ? 1n : 0n });
}

function matrixInfo(name: string): ValueInfoProto {
  const dimension = (axis: string) =>
    create(TensorShapeProto_DimensionSchema, { value: { case: 'dimParam', value: `${name}_${axis}` } });
  const shape = create(TensorShapeProtoSchema, { dim: [dimension('rows'), dimension('columns')] });
  const tensorType = create(TypeProto_TensorSchema, { elemType: TensorProto_DataType.FLOAT, shape });
  const type = create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } });
  return create(ValueInfoProtoSchema, { name, type });
}
