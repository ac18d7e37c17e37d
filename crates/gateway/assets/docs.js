SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  // The key stays in this page alone.
  persistAuthorization: false,
  // No badge of a validator somewhere else.
  validatorUrl: null,
});
