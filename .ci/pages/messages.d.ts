/** What the server and the pages say to each other: the messages of collection_app/web/messages.py. */

interface ExposureTimes {
  first_ms: number;
  gap_ms: number;
  second_ms: number;
  tolerance_frames: number;
}

interface Form {
  action: string;
  fields: Record<string, string>;
}

interface Comprehension {
  questions: { question: string; choices: string[] }[];
  passed: boolean;
  tries_left: number;
}

interface SessionState {
  token: string;
  state: string;
  outcome: string | null;
  code: string | null;
  redirect: string | null;
  submit: Form | null;
  title: string;
  contact: string;
  consent: string;
  consent_sha256: string;
  task: string;
  trials: number;
  answered: number;
  exposure: ExposureTimes;
  display: { size: number; layout: string; least_look_ms: number; least_hz: number; largest: { width: number; height: number }[] };
  comprehension: Comprehension | null;
  proof: string;
}

interface Trial {
  slot: number;
  attempt: number;
  training: boolean;
  reference: string | null;
  left: string;
  right: string;
  width: number;
  height: number;
}

interface Answer {
  id: string;
  slot: number;
  attempt: number;
  choice: string;
  reaction_ms: number;
  answered_at: number;
  input: string;
  focus_lost: boolean;
  first_ms?: number;
  gap_ms?: number;
  second_ms?: number;
  frame_ms?: number;
  frames?: number;
  dropped_frames?: number;
  device_pixel_ratio: number;
  scale: number;
  layout?: string;
  reference_looks?: number;
  reference_look_ms?: number;
  left_looks?: number;
  left_look_ms?: number;
  right_looks?: number;
  right_look_ms?: number;
  most_scale?: number;
  part_seen?: number;
  pictures: string[];
}

interface AnswerReceipt {
  id: string;
  status: "stored" | "known" | "refused";
  problem: string;
  repeat: boolean;
  expected: string;
}
