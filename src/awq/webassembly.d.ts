/** The part of the WebAssembly JavaScript API that the kernels use; @types/node declares it only with the DOM. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
    readonly [Symbol.toStringTag]: string;
  }
  class Memory {
    constructor(limits: { readonly initial: number; readonly maximum: number });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Instance<Exports extends object> {
    constructor(module: Module, imports: { readonly env: { readonly memory: Memory } });
    readonly exports: Exports;
  }
}
