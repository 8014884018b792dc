import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from 'onnx-buf';
import { SENTINEL_NODE, SENTINEL_OUTPUT } from './sentinel.js';

/** A named value inside a graph under construction. */
export type Value = string & { readonly __brand: 'Value' };

type Attribute = number | readonly number[] | string | { readonly float: number } | GraphProto;

/** onnxruntime 1.30 implements opset 21 and its contributed operators under com.microsoft. */
const OPSET = 21n;
const IR_VERSION = 10n;

/**
 * Builds an ONNX graph node by node. Weights are graph inputs, so that one small session serves every layer and every
 * expert of the same shape.
 */
export interface GraphBuilder {
  /** An f32 graph input of the given rank, one per name; dimensions are dynamic. */
  input(name: string, rank: number): Value;
  /** A constant baked into the graph. */
  floats(values: readonly number[], shape?: readonly number[]): Value;
  integers(values: readonly number[]): Value;
  /** One node with one output. Attributes that are whole numbers become ints; `{float}` forces a float. */
  node(operator: string, inputs: readonly (Value | null)[], attributes?: Readonly<Record<string, Attribute>>): Value;
  /** One node with several outputs. */
  nodes(
    operator: string,
    inputs: readonly (Value | null)[],
    outputs: number,
    attributes?: Readonly<Record<string, Attribute>>,
  ): Value[];
  /**
   * Runs `step` for every entry along the first dimension of the sequences: it takes the states and one entry of each
   * sequence, and gives the next states and outputs, which are stacked along a new first dimension. Whatever else it
   * uses may come from outside. All values are f32.
   */
  scan(states: readonly Value[], sequences: readonly Value[], step: ScanStep): ScanResults;
  output(name: string, value: Value): void;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  toBytes(): Uint8Array;
}

export interface ScanResults {
  readonly states: readonly Value[];
  readonly outputs: readonly Value[];
}

export type ScanStep = (states: readonly Value[], items: readonly Value[]) => ScanResults;

/** Operators that onnxruntime contributes outside the ONNX standard. */
const CONTRIBUTED = new Set([
  'RotaryEmbedding',
  'QuickGelu',
  'BiasGelu',
  'FastGelu',
  'FusedMatMul',
  'GroupQueryAttention',
  'MatMulNBits',
]);

export function createGraphBuilder(): GraphBuilder {
  const inputs: ValueInfoProto[] = [];
  const outputs: ValueInfoProto[] = [];
  let nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  let count = 0;
  const fresh = (): Value => named(`v${count++}`);
  const constant = (tensor: Omit<Partial<TensorProto>, '$typeName' | '$unknown'>): Value => {
    const name = fresh();
    initializers.push(create(TensorProtoSchema, { ...tensor, name }));
    return name;
  };
  const builder: GraphBuilder = {
    input(name, rank) {
      if (!builder.inputs.includes(name)) inputs.push(valueInfo(name, rank));
      return named(name);
    },
    floats: (values, shape = [values.length]) =>
      constant({ dataType: TensorProto_DataType.FLOAT, dims: shape.map(BigInt), floatData: [...values] }),
    integers: (values) =>
      constant({ dataType: TensorProto_DataType.INT64, dims: [BigInt(values.length)], int64Data: values.map(BigInt) }),
    node: (operator, args, attributes) => builder.nodes(operator, args, 1, attributes)[0]!,
    nodes(operator, args, outputCount, attributes = {}) {
      const results = Array.from({ length: outputCount }, fresh);
      nodes.push(
        create(NodeProtoSchema, {
          opType: operator,
          domain: CONTRIBUTED.has(operator) ? 'com.microsoft' : '',
          input: args.map((arg) => arg ?? ''),
          output: results,
          attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
        }),
      );
      return results;
    },
    scan(states, sequences, step) {
      const arguments_ = [...states, ...sequences].map(fresh);
      const outer = nodes;
      nodes = [];
      const results = step(arguments_.slice(0, states.length), arguments_.slice(states.length));
      const stepResults = [...results.states, ...results.outputs];
      const body = create(GraphProtoSchema, {
        name: fresh(),
        node: nodes,
        input: arguments_.map((name) => valueInfo(name, null)),
        output: stepResults.map((name) => valueInfo(name, null)),
      });
      nodes = outer;
      const values = builder.nodes('Scan', [...states, ...sequences], stepResults.length, {
        body,
        num_scan_inputs: sequences.length,
      });
      return { states: values.slice(0, states.length), outputs: values.slice(states.length) };
    },
    output(name, value) {
      nodes.push(create(NodeProtoSchema, { opType: 'Identity', input: [value], output: [name] }));
      outputs.push(valueInfo(name, null));
    },
    get inputs() {
      return inputs.map((input) => input.name);
    },
    get outputs() {
      return outputs.map((output) => output.name);
    },
    toBytes: () =>
      toBinary(
        ModelProtoSchema,
        create(ModelProtoSchema, {
          irVersion: IR_VERSION,
          producerName: 'evenkeel',
          opsetImport: [
            create(OperatorSetIdProtoSchema, { domain: '', version: OPSET }),
            create(OperatorSetIdProtoSchema, { domain: 'com.microsoft', version: 1n }),
          ],
          graph: create(GraphProtoSchema, {
            name: 'block',
            node: [...nodes, SENTINEL_NODE],
            input: inputs,
            output: [SENTINEL_OUTPUT, ...outputs],
            initializer: initializers,
          }),
        }),
      ),
  };
  return builder;
}

function named(name: string): Value {
  return name as Value;
}

function valueInfo(name: string, rank: number | null): ValueInfoProto {
  const shape =
    rank === null
      ? {}
      : {
          shape: create(TensorShapeProtoSchema, {
            dim: Array.from({ length: rank }, (_, axis) =>
              create(TensorShapeProto_DimensionSchema, { value: { case: 'dimParam', value: `${name}_${axis}` } }),
            ),
          }),
        };
  const tensorType = create(TypeProto_TensorSchema, { elemType: TensorProto_DataType.FLOAT, ...shape });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } }),
  });
}

function attribute(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, {
      name,
      type: AttributeProto_AttributeType.STRING,
      s: new TextEncoder().encode(value),
    });
  }
  if (typeof value === 'number') {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
  }
  if ('$typeName' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g: value });
  }
  if ('float' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.FLOAT, f: value.float });
  }
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INTS, ints: value.map(BigInt) });
}
