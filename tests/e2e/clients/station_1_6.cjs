// One charge as a charge point of OCPP 1.6 has it, spoken by npm's `ocpp-ts`. It sends kWh.
"use strict";

const { OcppClient } = require("ocpp-ts");

const { evidence, given, measure, now, promised, run, tell } = require("./charge.cjs");
const { kwh } = require("./ocmf.cjs");

const [url, id, password, options] = given();

function energy(wh, context) {
  return {
    value: kwh(wh),
    context,
    measurand: "Energy.Active.Import.Register",
    location: "Outlet",
    unit: "kWh",
  };
}

run(async () => {
  const point = new OcppClient(id);
  const connected = promised();
  const asked = promised();
  const stopped = promised();
  point.on("error", (error) => {
    console.error(`cannot connect: ${error.message}`);
    process.exit(1);
  });
  point.on("connect", connected.keep);
  point.on("RemoteStartTransaction", (request, answer) => {
    answer({ status: "Accepted" });
    asked.keep(request);
  });
  point.on("RemoteStopTransaction", (request, answer) => {
    answer({ status: "Accepted" });
    stopped.keep(request);
  });
  point.on("SetChargingProfile", (request, answer) => answer({ status: "Accepted" }));
  point.on("TriggerMessage", (request, answer) => answer({ status: "NotImplemented" }));
  point.on("ChangeConfiguration", (request, answer) => answer({ status: "Accepted" }));
  point.on("GetConfiguration", (request, answer) => answer({ configurationKey: [] }));
  const basic = Buffer.from(`${id}:${password}`).toString("base64");
  point.connect(`${url}/`, { Authorization: `Basic ${basic}` });
  await connected.promise;

  const status = (name) =>
    point.callRequest("StatusNotification", {
      connectorId: options.connector,
      errorCode: "NoError",
      status: name,
    });
  const boot = await point.callRequest("BootNotification", {
    chargePointVendor: "independent",
    chargePointModel: "ocpp-ts",
  });
  tell("booted", { status: boot.status });
  await point.callRequest("Heartbeat", {});
  await status("Preparing");

  const { idTag } = await asked.promise;
  tell("asked", { id_token: idTag });
  const start = await point.callRequest("StartTransaction", {
    connectorId: options.connector,
    idTag,
    meterStart: options.register_wh,
    timestamp: now().toISOString(),
  });
  const { transactionId } = start;
  tell("started", { transaction_id: transactionId, token_status: start.idTagInfo.status });
  await status("Charging");

  const measured = await measure(options, stopped, ({ at, wh }) =>
    point.callRequest("MeterValues", {
      connectorId: options.connector,
      transactionId,
      meterValue: [
        { timestamp: at.toISOString(), sampledValue: [energy(wh, "Sample.Periodic")] },
      ],
    }),
  );
  const { text, publicKeyHex } = evidence(options, measured, idTag, id);
  const sampledValue = [energy(measured.end.wh, "Transaction.End")];
  if (text) sampledValue.push({ value: text, format: "SignedData", context: "Transaction.End" });
  await point.callRequest("StopTransaction", {
    transactionId,
    idTag,
    meterStop: measured.end.wh,
    timestamp: measured.end.at.toISOString(),
    reason: options.ends === "remote" ? "Remote" : "EVDisconnected",
    transactionData: [{ timestamp: measured.end.at.toISOString(), sampledValue }],
  });
  await status("Available");
  tell("stopped", {
    start_wh: measured.begin.wh,
    stop_wh: measured.end.wh,
    record: text ?? null,
    public_key: publicKeyHex ?? null,
  });
});
