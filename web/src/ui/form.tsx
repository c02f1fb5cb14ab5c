/** Forms: fields with their errors under them, and one submission at a time. */

import { createContext, type ComponentChildren, type JSX, type LooseInputHTMLAttributes } from 'preact';
import { useContext, useId, useRef, useState } from 'preact/hooks';
import { ApiError, wordsOf } from '../api/index.js';
import { fieldWords } from '../api/http.js';
import { words } from '../words/index.js';

type Errors = Record<string, string | string[]>;

const FormErrors = createContext<Errors>({});

interface FormProps {
  /** Gets the texts of all named fields. A rejection is shown in the form. */
  onSubmit: (values: Record<string, string>) => Promise<unknown>;
  submit: string;
  onCancel?: (() => void) | undefined;
  danger?: boolean;
  class?: string;
  children?: ComponentChildren;
}

export function Form({ onSubmit, submit, onCancel, danger, class: className = 'form', children }: FormProps) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const form = useRef<HTMLFormElement>(null);
  const errors = error instanceof ApiError ? error.errors : {};

  const send = async (event: Event) => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    setError(null);
    const values: Record<string, string> = {};
    for (const [name, value] of new FormData(form.current!)) if (typeof value === 'string') values[name] = value;
    try {
      await onSubmit(values);
    } catch (caught) {
      setError(caught);
      const names = caught instanceof ApiError ? Object.keys(caught.errors) : [];
      const field = names.map((name) => form.current?.elements.namedItem(name)).find((each) => each instanceof HTMLElement);
      (field as HTMLElement | undefined)?.focus();
    } finally {
      setBusy(false);
    }
  };

  return (
    <form ref={form} class={className} noValidate onSubmit={send}>
      <FormErrors.Provider value={errors}>{children}</FormErrors.Provider>
      {error ? <FormProblem error={error} form={form.current} /> : null}
      <div class="line end">
        {onCancel && <button type="button" class="quiet" onClick={onCancel}>{words.cancel}</button>}
        <button type="submit" class={danger ? 'primary danger' : 'primary'} disabled={isBusy}>{submit}</button>
      </div>
    </form>
  );
}

/** Errors that no field of the form shows. */
function FormProblem({ error, form }: { error: unknown; form: HTMLFormElement | null }) {
  if (!(error instanceof ApiError)) return <p class="problem" role="alert">{wordsOf(error)}</p>;
  const elsewhere = Object.entries(error.errors).filter(([name]) => !name || !form?.elements.namedItem(name));
  return <p class="problem" role="alert">{[error.message, ...elsewhere.map(fieldWords)].join(' ')}</p>;
}

interface FieldProps {
  name: string;
  label: string;
  hint?: ComponentChildren;
  /** The control; gets the id, the name and what describes it. */
  children: (control: { id: string; name: string; 'aria-describedby'?: string; 'aria-invalid'?: boolean }) => JSX.Element;
}

export function Field({ name, label, hint, children }: FieldProps) {
  const errors = useContext(FormErrors);
  const id = useId();
  const own = Object.entries(errors).filter(([field]) => field === name || field.startsWith(`${name}.`));
  const text = own.flatMap(([field, sentences]) => (field === name ? [sentences].flat() : [fieldWords([field.slice(name.length + 1), sentences])]));
  const notes = [hint ? `${id}-hint` : '', text.length ? `${id}-problem` : ''].filter(Boolean).join(' ');
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, name, ...(notes && { 'aria-describedby': notes }), ...(text.length > 0 && { 'aria-invalid': true }) })}
      {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
      {text.length > 0 && <p class="problem" id={`${id}-problem`}>{text.join(' ')}</p>}
    </div>
  );
}

/** A choice that is on or off, with its label beside it. */
export function CheckField({ name, label, hint, isOn }: Omit<FieldProps, 'children'> & { isOn: boolean }) {
  const id = useId();
  return (
    <div class="field">
      <label class="check"><input type="checkbox" class="switch" name={name} defaultChecked={isOn} aria-describedby={hint ? id : undefined} />{label}</label>
      {hint && <p class="hint" id={id}>{hint}</p>}
    </div>
  );
}

type Control = Omit<LooseInputHTMLAttributes<HTMLInputElement>, 'name' | 'label' | 'value' | 'onChange'>;

export function TextField({ name, label, hint, ...input }: Control & Omit<FieldProps, 'children'>) {
  return <Field name={name} label={label} hint={hint}>{(control) => <input autoComplete="off" {...(input as object)} {...control} />}</Field>;
}

/** A field that filters a list once its text is whole. What is being typed survives that the list is read again. */
export function FilterField({ label, value, onChange, ...input }: Control & { label: string; value: string; onChange: (text: string) => void }) {
  return (
    <label><span>{label}</span>
      <input key={value} spellcheck={false} {...(input as object)} defaultValue={value} onChange={(event) => onChange(event.currentTarget.value.trim())} />
    </label>
  );
}

interface SelectProps extends Omit<FieldProps, 'children'> {
  value?: string | undefined;
  options: [value: string, text: string][];
  onChange?: (value: string) => void;
}

export function SelectField({ name, label, hint, value, options, onChange }: SelectProps) {
  return (
    <Field name={name} label={label} hint={hint}>
      {(control) => (
        <select {...control} onChange={(event) => onChange?.(event.currentTarget.value)}>
          {options.map(([each, text]) => <option key={each} value={each} selected={each === value}>{text}</option>)}
        </select>
      )}
    </Field>
  );
}
