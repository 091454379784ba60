/**
 * Decides what a caller may do. Every call and every list asks here; no rule means no. For now the one kind of rule is
 * the gateway a credential was made for; grants and content rules come to this same question.
 */
export { createPolicy, type Policy, type Question, type Verdict } from './decide.ts'
