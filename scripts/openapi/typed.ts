// Compiles only if every JSON answer in the generated types has a type.
import type { operations } from './schema';

type IsOpen<T> = unknown extends T ? true : false; // `unknown` and `any`
type Json<Answer> = Answer extends { content: infer Content }
  ? Content extends { 'application/json': infer Body } ? Body : never
  : never;
type Untyped = {
  [Name in keyof operations]: {
    [Status in keyof operations[Name]['responses']]: [Json<operations[Name]['responses'][Status]>] extends [never]
      ? never
      : IsOpen<Json<operations[Name]['responses'][Status]>> extends true ? `${Name} ${Status & number}` : never;
  }[keyof operations[Name]['responses']];
}[keyof operations];

// An operation without a type makes this line fail, and its name stands in the message.
export const untyped: [Untyped] extends [never] ? 'none' : Untyped = 'none';

type Image = operations['get_image']['responses'][200]['content']['application/json'];
type Application = operations['create_application']['responses'][201]['content']['application/json'];
export const state = (image: Image): 'init' | 'uploaded' | 'processing' | 'done' | 'error' => image.state;
export const secret = (application: Application): string | undefined => application.secret_key;
