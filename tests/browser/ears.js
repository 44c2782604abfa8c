// What a visitor of a page hears and says, and what its widget tells, by the page's own clock.
(() => {
  const LOUD = 0.01;
  const EVERY_MS = 20;
  // More than a page's other work ever keeps the clock from ticking.
  const PAUSE_MS = 700;
  const spans = { bot: [], microphone: [] };
  let context;

  function listen(name, stream) {
    context ??= new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, each) => sum + each * each, 0) / samples.length;
      if (Math.sqrt(power) < LOUD) return;
      const now = performance.now();
      const last = spans[name].at(-1);
      if (last && now - last.end < PAUSE_MS) last.end = now;
      else spans[name].push({ start: now, end: now });
    }, EVERY_MS);
  }

  window.ears = {
    /** Each stretch of sound of the `bot` or the `microphone`: start and end in ms. */
    spans,
    /** Every event of the widget, with its time. */
    told: [],
    /** When something was last clicked. */
    clicked: 0,
    /** How often a microphone was asked for. */
    asked: 0,
    isLoud: (name) => performance.now() - (spans[name].at(-1)?.end ?? -Infinity) < 100,
    quietMs: (name) => performance.now() - (spans[name].at(-1)?.end ?? 0),
  };
  for (const name of ["state", "caption", "ended"]) {
    addEventListener(`voicefleet:${name}`, ({ detail }) => {
      window.ears.told.push({ name, at: performance.now(), ...detail });
    });
  }

  addEventListener("click", () => { window.ears.clicked = performance.now(); }, true);

  const Plain = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("track", ({ track }) => {
        if (track.kind === "audio") listen("bot", new MediaStream([track]));
      });
    }
  };
  const devices = navigator.mediaDevices;
  if (!devices) return;
  const open = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (wanted) => {
    window.ears.asked += 1;
    const stream = await open(wanted);
    // A copy of its own: what the device gives, also while the page has muted its track.
    listen("microphone", stream.clone());
    return stream;
  };
})();
