using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace KvMesh.Worker.Front;

/// <summary>Writes answers of one request: whole, or as events of a stream.</summary>
internal sealed class CompletionJson(string id, long createdAt, string model)
{
    // The text goes out as the UTF-8 that it is; the content type keeps browsers from reading it as a page.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public void WriteWhole(IBufferWriter<byte> output, IReadOnlyList<AnswerPiece> choices, AnswerUsage usage)
    {
        using var json = new Utf8JsonWriter(output, Options);
        WriteBegin(json);
        json.WriteStartArray("choices");
        foreach (var choice in choices)
        {
            WriteChoice(json, choice);
        }

        json.WriteEndArray();
        WriteUsage(json, usage);
        json.WriteEndObject();
    }

    /// <param name="hasUsage">Whether the stream tells the usage at its end: until then its field is there and null.</param>
    public void WriteEvent(IBufferWriter<byte> output, AnswerPiece piece, bool hasUsage) => WriteEvent(output, json =>
    {
        json.WriteStartArray("choices");
        WriteChoice(json, piece);
        json.WriteEndArray();
        if (hasUsage)
        {
            json.WriteNull("usage");
        }
    });

    public void WriteUsageEvent(IBufferWriter<byte> output, AnswerUsage usage) => WriteEvent(output, json =>
    {
        json.WriteStartArray("choices");
        json.WriteEndArray();
        WriteUsage(json, usage);
    });

    private void WriteEvent(IBufferWriter<byte> output, Action<Utf8JsonWriter> write)
    {
        output.Write("data: "u8);
        using (var json = new Utf8JsonWriter(output, Options))
        {
            WriteBegin(json);
            write(json);
            json.WriteEndObject();
        }

        output.Write("\n\n"u8);
    }

    private void WriteBegin(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("id", id);
        json.WriteString("object", "text_completion");
        json.WriteNumber("created", createdAt);
        json.WriteString("model", model);
    }

    private static void WriteChoice(Utf8JsonWriter json, AnswerPiece piece)
    {
        json.WriteStartObject();
        json.WriteNumber("index", piece.Choice);
        json.WriteString("text", piece.Text);
        json.WriteNull("logprobs");
        json.WriteString("finish_reason", piece.FinishReason);
        json.WriteEndObject();
    }

    private static void WriteUsage(Utf8JsonWriter json, AnswerUsage usage)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", usage.PromptTokens);
        json.WriteNumber("completion_tokens", usage.CompletionTokens);
        json.WriteNumber("total_tokens", usage.PromptTokens + usage.CompletionTokens);
        json.WriteStartObject("prompt_tokens_details");
        json.WriteNumber("cached_tokens", usage.CachedTokens);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
