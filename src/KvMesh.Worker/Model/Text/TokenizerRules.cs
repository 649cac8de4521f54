using System.Text.Json;
using KvMesh.Worker.Model.Files;

namespace KvMesh.Worker.Model.Text;

/// <summary>Reads how a tokenizer.json cuts a text into words and what it puts around it; what is not done here is refused by name.</summary>
internal sealed class TokenizerRules(string file)
{
    public TokenizerParts Apply(JsonElement root, TokenizerParts parts)
    {
        if (ModelJson.TryGet(root, "normalizer", out var normalizer))
        {
            throw Unknown("normalizer", normalizer, "must be null");
        }

        if (ModelJson.TryGet(root, "decoder", out var decoder) && TypeOf(decoder) != "ByteLevel")
        {
            throw Unknown("decoder", decoder, "must be ByteLevel");
        }

        parts = ReadCutting(ModelJson.Require(file, root, "pre_tokenizer"), parts);
        if (ModelJson.TryGet(root, "post_processor", out var processor))
        {
            foreach (var step in TypeOf(processor) == "Sequence" ? [.. ModelJson.Items(file, processor, "processors")] : (JsonElement[])[processor])
            {
                parts = ReadFrame(step, parts);
            }
        }

        return parts;
    }

    private TokenizerParts ReadCutting(JsonElement cutting, TokenizerParts parts)
    {
        JsonElement[] steps = TypeOf(cutting) == "Sequence" ? [.. ModelJson.Items(file, cutting, "pretokenizers")] : [cutting];
        WordPattern? words = null;
        for (var index = 0; index < steps.Length; index++)
        {
            var step = steps[index];
            switch (TypeOf(step))
            {
                case "Split" when words is null && index < steps.Length - 1:
                    words = ReadSplit(step);
                    break;
                case "ByteLevel" when index == steps.Length - 1:
                    var cuts = ModelJson.Flag(file, step, "use_regex", true);
                    if (cuts == words is not null)
                    {
                        throw Unknown("pre_tokenizer", cutting, "must cut words once, by Split or by 'use_regex' of ByteLevel");
                    }

                    return parts with { Words = words ?? WordPattern.Gpt2, AddsSpace = ModelJson.Flag(file, step, "add_prefix_space", true) };
                default:
                    throw Unknown("pre_tokenizer", step, "must be ByteLevel, or Split before ByteLevel");
            }
        }

        throw Unknown("pre_tokenizer", cutting, "must end with ByteLevel");
    }

    private WordPattern ReadSplit(JsonElement split)
    {
        if (ModelJson.Text(file, split, "behavior", "Isolated") != "Isolated" || ModelJson.Flag(file, split, "invert", false))
        {
            throw Unknown("pre_tokenizer", split, "must have the behavior Isolated, not inverted");
        }

        var expression = ModelJson.Text(file, ModelJson.Require(file, split, "pattern"), "Regex");
        return WordPattern.All.FirstOrDefault(known => known.Expression == expression)
            ?? throw Unknown("pre_tokenizer", split, "must have the pattern of GPT-2, of Llama 3, or that with single digits");
    }

    private TokenizerParts ReadFrame(JsonElement step, TokenizerParts parts)
    {
        switch (TypeOf(step))
        {
            case "ByteLevel":
                return parts;
            case "TemplateProcessing" when parts.Prefix.Count == 0 && parts.Suffix.Count == 0:
                return ReadTemplate(step, parts);
            default:
                throw Unknown("post_processor", step, "must be ByteLevel or one TemplateProcessing");
        }
    }

    private TokenizerParts ReadTemplate(JsonElement template, TokenizerParts parts)
    {
        var prefix = new List<int>();
        var suffix = new List<int>();
        var hasText = false;
        foreach (var piece in ModelJson.Items(file, template, "single"))
        {
            if (ModelJson.TryGet(piece, "Sequence", out _) && !hasText)
            {
                hasText = true;
            }
            else if (ModelJson.TryGet(piece, "SpecialToken", out var special))
            {
                var name = ModelJson.Text(file, special, "id");
                var added = parts.Added.FirstOrDefault(token => token.Content == name)
                    ?? throw new ModelFileException(file, $"post_processor names '{name}', which is not in added_tokens.");
                (hasText ? suffix : prefix).Add(added.Id);
            }
            else
            {
                throw Unknown("post_processor", piece, "must hold SpecialTokens around one Sequence");
            }
        }

        return hasText ? parts with { Prefix = prefix, Suffix = suffix } : throw Unknown("post_processor", template, "must hold a Sequence");
    }

    private string TypeOf(JsonElement step) => ModelJson.Text(file, step, "type", string.Empty);

    private ModelFileException Unknown(string name, JsonElement value, string rule) => new(file, $"'{name}' is {ModelJson.Short(value)}; it {rule}.");
}
