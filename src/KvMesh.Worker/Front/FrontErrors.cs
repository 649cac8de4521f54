using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace KvMesh.Worker.Front;

/// <summary>Errors in the shape of OpenAI's, so that its clients show them, and beside that the value and the limit.</summary>
internal static class FrontErrors
{
    private const string BadRequest = "invalid_request_error";

    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Task FieldAsync(HttpContext context, FieldFault fault, int status = StatusCodes.Status400BadRequest) => WriteAsync(
        context, fault.Code == "model_not_found" ? StatusCodes.Status404NotFound : status, json => WriteField(json, fault));

    public static Task PlainAsync(HttpContext context, int status, string message, string? code = null) => WriteAsync(
        context, status, json => WritePlain(json, message, status >= StatusCodes.Status500InternalServerError ? "server_error" : BadRequest, code));

    /// <summary>An error as the last event of a stream that has begun.</summary>
    public static byte[] InStream(string message)
    {
        var buffer = new ArrayBufferWriter<byte>();
        Write(buffer, json => WritePlain(json, message, "server_error", null));
        return buffer.WrittenSpan.ToArray();
    }

    private static async Task WriteAsync(HttpContext context, int status, Action<Utf8JsonWriter> write)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        Write(context.Response.BodyWriter, write);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted).ConfigureAwait(false);
    }

    private static void Write(IBufferWriter<byte> output, Action<Utf8JsonWriter> write)
    {
        using var json = new Utf8JsonWriter(output, Options);
        json.WriteStartObject();
        json.WriteStartObject("error");
        write(json);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteField(Utf8JsonWriter json, FieldFault fault)
    {
        json.WriteString("message", fault.Message);
        json.WriteString("type", BadRequest);
        json.WriteString("param", fault.Field);
        json.WriteString("code", fault.Code);
        json.WriteString("value", fault.Shown);
        json.WriteString("limit", fault.Limit);
    }

    private static void WritePlain(Utf8JsonWriter json, string message, string type, string? code)
    {
        json.WriteString("message", message);
        json.WriteString("type", type);
        json.WriteNull("param");
        json.WriteString("code", code);
    }
}
