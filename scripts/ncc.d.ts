declare module '@vercel/ncc' {
  interface Options {
    readonly cache?: boolean;
    readonly esm?: boolean;
    /** Modules that are not bundled, by what they are asked for, with what is loaded instead. */
    readonly externals?: Readonly<Record<string, string>>;
    readonly license?: string;
    readonly quiet?: boolean;
    readonly transpileOnly?: boolean;
  }
  interface Output {
    readonly code: string;
    readonly assets: Readonly<Record<string, { readonly source: string | Uint8Array }>>;
  }
  export default function ncc(input: string, options: Options): Promise<Output>;
}
