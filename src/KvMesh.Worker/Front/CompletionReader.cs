using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using KvMesh.Protocol.Sequences;
using KvMesh.Worker.Model.Sampling;
using KvMesh.Worker.Model.Text;

namespace KvMesh.Worker.Front;

/// <summary>Reads the body of <c>/v1/completions</c>. What is not computed here is refused by name rather than left out in silence.</summary>
internal sealed class CompletionReader(FrontOptions options, Tokenizer tokenizer)
{
    public const int MaxPrompts = 16;
    public const int MaxStops = 4;
    public const int MaxStopCharacters = 256;

    /// <summary>Tokens of an answer whose request names none, as OpenAI has it.</summary>
    public const int DefaultTokens = 16;

    private const int MaxTopK = 1 << 22;
    private const double MaxTemperature = 2;

    // What says nothing about the tokens of an answer, or says what this worker does anyway.
    private static readonly HashSet<string> Known =
    [
        "model", "prompt", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "stream", "stream_options", "n", "best_of", "echo", "logprobs",
        "suffix", "presence_penalty", "frequency_penalty", "logit_bias", "user", "sequence", "ignore_eos",
    ];

    /// <summary>The request, or the first field that is wrong.</summary>
    public bool TryRead(JsonElement body, [NotNullWhen(true)] out CompletionCall? call, [NotNullWhen(false)] out FieldFault? fault)
    {
        var fields = new BodyFields(body);
        call = Read(fields);
        fault = fields.Fault;
        if (fault is not null)
        {
            call = null;
        }

        return fault is null && call is not null;
    }

    private CompletionCall? Read(BodyFields fields)
    {
        fields.RefuseUnknown(Known);
        if (fields.Text("model") is { } model && model != options.ModelName)
        {
            fields.Refuse("model", model, $"this worker has {options.ModelName}", "model_not_found");
        }

        RefuseOthers(fields);
        fields.Text("user");
        var call = new CompletionCall
        {
            Prompts = [],
            Sampling = Sampling(fields),
            Stops = Stops(fields),
            IsStreamed = fields.Flag("stream"),
            StreamsUsage = StreamsUsage(fields),
            Echoes = fields.Flag("echo"),
            IgnoresEnd = fields.Flag("ignore_eos"),
            Sequence = fields.Text("sequence"),
        };
        var maxTokens = (int?)fields.Integer("max_tokens", 1, options.MaxTokens);
        if (call.Sequence is not null && !SequenceLimits.IsName(call.Sequence, out var problem))
        {
            fields.Refuse("sequence", call.Sequence, problem.TrimEnd('.'));
        }

        // Texts become tokens last: that is the work.
        return fields.Fault is null ? call with { Prompts = Prompts(fields, maxTokens, call.Sequence) } : null;
    }

    private static void RefuseOthers(BodyFields fields)
    {
        foreach (var name in (string[])["n", "best_of"])
        {
            if (fields.Integer(name, 1, int.MaxValue) is > 1 and var count)
            {
                fields.Refuse(name, $"{count}", "this worker gives one choice for each prompt");
            }
        }

        foreach (var name in (string[])["presence_penalty", "frequency_penalty"])
        {
            if (fields.Real(name, -2, 2, 0) is not 0 and var penalty)
            {
                fields.Refuse(name, penalty.ToString(CultureInfo.InvariantCulture), "this worker has no penalties, it must be 0 or left out");
            }
        }

        foreach (var name in (string[])["logprobs", "suffix", "logit_bias"])
        {
            if (fields.TryGet(name, out var value))
            {
                fields.Refuse(name, value.GetRawText(), "this worker does not do that, leave it out");
            }
        }
    }

    private static SamplingRule Sampling(BodyFields fields) => new()
    {
        Temperature = (float)fields.Real("temperature", 0, MaxTemperature, 1),
        TopP = (float)fields.Real("top_p", float.Epsilon, 1, 1),
        TopK = (int)Math.Max(0, fields.Integer("top_k", -1, MaxTopK) ?? 0),

        // A caller without a seed wants another answer each time.
        Seed = fields.Integer("seed", long.MinValue, long.MaxValue) is { } seed ? (ulong)seed : BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
    };

    private static List<string> Stops(BodyFields fields)
    {
        if (!fields.TryGet("stop", out var stop))
        {
            return [];
        }

        var items = stop.ValueKind == JsonValueKind.Array ? [.. stop.EnumerateArray()] : new[] { stop };
        if (items.Length > MaxStops)
        {
            fields.Refuse("stop", $"an array of {items.Length}", $"it has at most {MaxStops} texts");
            return [];
        }

        var stops = new List<string>();
        foreach (var item in items)
        {
            if (BodyFields.TextOf(item) is not { Length: > 0 and <= MaxStopCharacters } text)
            {
                fields.Refuse("stop", item.GetRawText(), $"it must be a text of 1 to {MaxStopCharacters} characters, or an array of up to {MaxStops} of them");
                return [];
            }

            stops.Add(text);
        }

        return stops;
    }

    private static bool StreamsUsage(BodyFields fields)
    {
        if (!fields.TryGet("stream_options", out var value))
        {
            return false;
        }

        if (value.ValueKind != JsonValueKind.Object || !fields.Flag("stream"))
        {
            fields.Refuse("stream_options", value.GetRawText(), "it must be an object, and only where stream is true");
            return false;
        }

        var inner = new BodyFields(value, "stream_options.");
        inner.RefuseUnknown(["include_usage"]);
        var isWanted = inner.Flag("include_usage");
        fields.Take(inner.Fault);
        return isWanted;
    }

    private List<CompletionPrompt> Prompts(BodyFields fields, int? maxTokens, string? sequence)
    {
        var prompts = new List<CompletionPrompt>();
        if (!fields.TryGet("prompt", out var value))
        {
            fields.Refuse("prompt", null, "it must be a text, an array of token numbers, or an array of those");
            return prompts;
        }

        // An array of numbers is one prompt, an array of anything else several.
        var isSeveral = value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 && value[0].ValueKind != JsonValueKind.Number;
        var count = isSeveral ? value.GetArrayLength() : 1;
        if (count > MaxPrompts)
        {
            fields.Refuse("prompt", $"an array of {count}", $"one request has at most {MaxPrompts} prompts");
            return prompts;
        }

        if (count > 1 && sequence is not null)
        {
            fields.Refuse("sequence", sequence, $"it names the tokens of one prompt and there are {count}");
            return prompts;
        }

        for (var index = 0; index < count && fields.Fault is null; index++)
        {
            if (Prompt(fields, isSeveral ? $"prompt[{index}]" : "prompt", isSeveral ? value[index] : value, maxTokens) is { } prompt)
            {
                prompts.Add(prompt);
            }
        }

        return prompts;
    }

    private CompletionPrompt? Prompt(BodyFields fields, string name, JsonElement value, int? maxTokens)
    {
        var (tokens, text) = (new List<int>(), "");
        if (value.ValueKind == JsonValueKind.Array)
        {
            tokens = Tokens(fields, name, value);
            text = tokenizer.Decode(tokens);
        }
        else if (BodyFields.TextOf(value) is { } given)
        {
            tokens = tokenizer.Encode(given);
            text = given;
        }
        else
        {
            fields.Refuse(name, value.GetRawText(), "it must be a text or an array of token numbers");
        }

        if (fields.Fault is null && tokens.Count == 0)
        {
            fields.Refuse(name, value.GetRawText(), "it must have at least one token");
        }

        // A tokenizer may know more tokens than the model has rows for.
        if (fields.Fault is null && tokens.FindIndex(token => token >= options.Vocabulary) is >= 0 and var at)
        {
            fields.Refuse($"{name}[{at}]", $"token {tokens[at]}", $"the model has {options.Vocabulary} tokens");
        }

        var room = options.MaxTokens - tokens.Count;
        if (fields.Fault is null && room < 1)
        {
            fields.Refuse(name, $"{tokens.Count} tokens", $"with at least one token of an answer it must fit into {options.MaxTokens} tokens", "context_length_exceeded");
        }
        else if (fields.Fault is null && maxTokens > room)
        {
            fields.Refuse(
                "max_tokens", $"{maxTokens}", $"behind the {tokens.Count} tokens of {name} there is room for {room} of {options.MaxTokens}", "context_length_exceeded");
        }

        return fields.Fault is null ? new CompletionPrompt(tokens, text, maxTokens ?? Math.Min(DefaultTokens, room)) : null;
    }

    private List<int> Tokens(BodyFields fields, string name, JsonElement value)
    {
        var tokens = new List<int>(value.GetArrayLength());
        foreach (var item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out var token) || token < 0 || token >= options.Vocabulary)
            {
                fields.Refuse($"{name}[{tokens.Count}]", item.GetRawText(), $"it must be a token number from 0 to {options.Vocabulary - 1}");
                return tokens;
            }

            tokens.Add(token);
        }

        return tokens;
    }
}
