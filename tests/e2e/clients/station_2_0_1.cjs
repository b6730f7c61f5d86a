// One charge as a charging station of OCPP 2.0.1 has it, spoken by npm's `ocpp-rpc` in strict mode:
// it checks every message, its own and ours, against the schemas that it brings.
"use strict";

const { RPCClient, createRPCError } = require("ocpp-rpc");

const { evidence, given, measure, now, promised, run, tell } = require("./charge.cjs");

const [url, id, password, options] = given();
const transactionId = `node-${Date.now()}`;

function energy(wh, context, signed) {
  return {
    value: wh,
    context,
    measurand: "Energy.Active.Import.Register",
    location: "Outlet",
    unitOfMeasure: { unit: "Wh" },
    ...(signed && { signedMeterValue: signed }),
  };
}

run(async () => {
  const station = new RPCClient({
    endpoint: url,
    identity: id,
    password,
    protocols: ["ocpp2.0.1"],
    strictMode: true,
    reconnect: false,
  });
  const asked = promised();
  const stopped = promised();
  station.handle("RequestStartTransaction", ({ params }) => {
    setImmediate(() => asked.keep(params));
    return { status: "Accepted" };
  });
  station.handle("RequestStopTransaction", ({ params }) => {
    if (params.transactionId !== transactionId) return { status: "Rejected" };
    setImmediate(() => stopped.keep(params));
    return { status: "Accepted" };
  });
  station.handle("SetChargingProfile", () => ({ status: "Accepted" }));
  station.handle("TriggerMessage", () => ({ status: "NotImplemented" }));
  station.handle("SetVariables", ({ params }) => ({
    setVariableResult: params.setVariableData.map(({ component, variable }) => ({
      component,
      variable,
      attributeStatus: "Accepted",
    })),
  }));
  station.handle(() => {
    throw createRPCError("NotImplemented");
  });
  await station.connect();

  const status = (name) =>
    station.call("StatusNotification", {
      timestamp: now().toISOString(),
      connectorStatus: name,
      evseId: options.connector,
      connectorId: 1,
    });
  const boot = await station.call("BootNotification", {
    reason: "PowerUp",
    chargingStation: { vendorName: "independent", model: "ocpp-rpc" },
  });
  tell("booted", { status: boot.status });
  await station.call("Heartbeat", {});
  await status("Occupied");

  const { idToken, remoteStartId } = await asked.promise;
  tell("asked", { id_token: idToken.idToken });
  let seqNo = 0;
  const tellOf = (eventType, triggerReason, at, sampledValue, more = {}, info = {}) =>
    station.call("TransactionEvent", {
      eventType,
      timestamp: at.toISOString(),
      triggerReason,
      seqNo: seqNo++,
      transactionInfo: { transactionId, ...info },
      evse: { id: options.connector, connectorId: 1 },
      meterValue: [{ timestamp: at.toISOString(), sampledValue: [sampledValue] }],
      ...more,
    });
  const start = await tellOf(
    "Started",
    "RemoteStart",
    now(),
    energy(options.register_wh, "Transaction.Begin"),
    { idToken },
    { chargingState: "Charging", remoteStartId },
  );
  const token_status = start.idTokenInfo ? start.idTokenInfo.status : null;
  tell("started", { transaction_id: transactionId, token_status });

  const measured = await measure(options, stopped, ({ at, wh }) =>
    tellOf("Updated", "MeterValuePeriodic", at, energy(wh, "Sample.Periodic"), {}, {
      chargingState: "Charging",
    }),
  );
  const { text, publicKeyHex } = evidence(options, measured, idToken.idToken, id);
  const signed = text && {
    signedMeterData: Buffer.from(text, "utf8").toString("base64"),
    signingMethod: "",
    encodingMethod: "OCMF",
    publicKey: Buffer.from(`oca:base16:asn1:${publicKeyHex}`, "utf8").toString("base64"),
  };
  const remote = options.ends === "remote";
  await tellOf(
    "Ended",
    remote ? "RemoteStop" : "EVDeparted",
    measured.end.at,
    energy(measured.end.wh, "Transaction.End", signed),
    { idToken },
    { chargingState: remote ? "EVConnected" : "Idle", stoppedReason: remote ? "Remote" : "EVDisconnected" },
  );
  await status("Available");
  tell("stopped", {
    start_wh: measured.begin.wh,
    stop_wh: measured.end.wh,
    record: text ?? null,
    public_key: publicKeyHex ?? null,
  });
  await station.close();
});
