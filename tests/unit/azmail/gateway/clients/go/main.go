// Sends the call on standard input with Mailjet's own client, and prints what it answers. Only host and keys are not Mailjet's.
package main

import (
	"encoding/json"
	"errors"
	"os"

	"github.com/mailjet/mailjet-apiv3-go/v4"
)

func main() {
	var call mailjet.MessagesV31
	if err := json.NewDecoder(os.Stdin).Decode(&call); err != nil {
		panic(err)
	}
	client := mailjet.NewMailjetClient(os.Getenv("USER_NAME"), os.Getenv("PASSWORD"), "https://"+os.Getenv("HOST")+"/v3")
	found := map[string]any{"status": 200}
	results, err := client.SendMailV31(&call)
	var refused *mailjet.APIFeedbackErrorsV31
	var failed *mailjet.ErrorInfoV31
	switch {
	case errors.As(err, &refused):
		found["status"], found["body"] = refused.Messages[0].Errors[0].StatusCode, refused
	case errors.As(err, &failed):
		found["status"], found["body"] = failed.StatusCode, failed
	case err != nil:
		found["status"], found["body"] = 0, err.Error()
	default:
		found["body"] = results
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		panic(err)
	}
}
