// Sends the call on standard input with Mailjet's own client, and prints what it answers. Only host and keys are not Mailjet's.
const Mailjet = require("node-mailjet");
const { readFileSync } = require("fs");

const { HOST, USER_NAME, PASSWORD } = process.env;
const client = new Mailjet({ apiKey: USER_NAME, apiSecret: PASSWORD, config: { host: HOST } });
client
  .post("send", { version: "v3.1" })
  .request(JSON.parse(readFileSync(0, "utf8")))
  .then((answer) => ({ status: answer.response.status, body: answer.body }))
  .catch((error) => ({ status: error.statusCode ?? 0, body: error.response?.data ?? error.message }))
  .then((found) => console.log(JSON.stringify(found)));
