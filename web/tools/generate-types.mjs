// Writes src/generated.ts from the server's schema and the page's operations: a type for what each operation takes
// and gives, and the operation itself, already parsed. `--check` writes nothing and fails where the file is stale.

import { readFileSync, writeFileSync } from "node:fs";
import {
  buildSchema,
  GraphQLError,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  parse,
  typeFromAST,
  validate,
} from "graphql";

const file = (path) => new URL(path, import.meta.url);
const SCHEMA = file("../../src/gqlink/chat/schema.graphql");
const OPERATIONS = file("../src/operations.graphql");
const OUTPUT = file("../src/generated.ts");

const SCALARS = { ID: "string", String: "string", Int: "number", Float: "number", Boolean: "boolean", DateTime: "string" };

const schema = buildSchema(readFileSync(SCHEMA, "utf8"));
const document = parse(readFileSync(OPERATIONS, "utf8"), { noLocation: true });
const fragments = new Map(document.definitions.filter(isFragment).map((each) => [each.name.value, each]));
const operations = document.definitions.filter((each) => each.kind === "OperationDefinition");

function isFragment(definition) {
  return definition.kind === "FragmentDefinition";
}

/** A GraphQL type as TypeScript; `name` says what stands for the named type inside it. */
function written(type, name) {
  if (isNonNullType(type)) return bare(type.ofType, name);
  return `${bare(type, name)} | null`;
}

function bare(type, name) {
  return isListType(type) ? `ReadonlyArray<${written(type.ofType, name)}>` : name(type);
}

function inputName(type) {
  return SCALARS[type.name] ?? type.name;
}

/** The fields that a selection gives, as an object type. */
function selected(selectionSet, parent) {
  const parts = selectionSet.selections.map((selection) => {
    if (selection.kind === "FragmentSpread") return `${selection.name.value}`;
    if (selection.kind !== "Field") throw new GraphQLError(`${selection.kind} is not supported here`);
    const key = (selection.alias ?? selection.name).value;
    const { type } = parent.getFields()[selection.name.value];
    return `{ readonly ${key}: ${written(type, (named) => outputName(named, selection.selectionSet))} }`;
  });
  return parts.join(" & ").replaceAll(" } & { ", "; ");
}

function outputName(named, selectionSet) {
  if (selectionSet) return selected(selectionSet, named);
  if (isEnumType(named)) return named.name;
  return SCALARS[named.name];
}

function inputs() {
  return Object.values(schema.getTypeMap())
    .filter(isInputObjectType)
    .map((type) => {
      const fields = Object.values(type.getFields()).map((field) => {
        const optional = field.defaultValue !== undefined || !isNonNullType(field.type) ? "?" : "";
        return `  readonly ${field.name}${optional}: ${written(field.type, inputName)};`;
      });
      return `export interface ${type.name} {\n${fields.join("\n")}\n}`;
    });
}

function variables(operation) {
  const fields = (operation.variableDefinitions ?? []).map((definition) => {
    const type = typeFromAST(schema, definition.type);
    const optional = isNonNullType(type) ? "" : "?";
    return `readonly ${definition.variable.name.value}${optional}: ${written(type, inputName)}`;
  });
  return fields.length ? `{ ${fields.join("; ")} }` : "Record<string, never>";
}

function* spreads(node) {
  if (Array.isArray(node)) for (const each of node) yield* spreads(each);
  else if (node && typeof node === "object") {
    if (node.kind === "FragmentSpread") yield node.name.value;
    for (const each of Object.values(node)) yield* spreads(each);
  }
}

function operationText(operation) {
  const name = operation.name.value;
  const kind = operation.operation[0].toUpperCase() + operation.operation.slice(1);
  const root = schema.getRootType(operation.operation);
  const used = [...new Set(spreads(operation))].map((each) => fragments.get(each));
  const ast = JSON.stringify({ kind: "Document", definitions: [operation, ...used] });
  return [
    `export type ${name}${kind} = ${selected(operation.selectionSet, root)};`,
    `export type ${name}${kind}Variables = ${variables(operation)};`,
    `export const ${name}Document = ${ast} as unknown as TypedDocumentNode<${name}${kind}, ${name}${kind}Variables>;`,
  ].join("\n");
}

function fragmentText(fragment) {
  const type = getNamedType(typeFromAST(schema, fragment.typeCondition));
  if (!isObjectType(type)) throw new GraphQLError("fragments are on object types here");
  return `export type ${fragment.name.value} = ${selected(fragment.selectionSet, type)};`;
}

const problems = validate(schema, document);
if (problems.length) throw new Error(problems.map(String).join("\n\n"));

const text = [
  "// Written by `npm run generate` from schema.graphql and operations.graphql; not by hand.",
  'import type { TypedDocumentNode } from "@apollo/client";',
  ...inputs(),
  ...[...fragments.values()].map(fragmentText),
  ...operations.map(operationText),
].join("\n\n");

if (!process.argv.includes("--check")) writeFileSync(OUTPUT, `${text}\n`);
else if (readFileSync(OUTPUT, "utf8") !== `${text}\n`) {
  console.error("src/generated.ts is stale: npm run generate");
  process.exitCode = 1;
}
