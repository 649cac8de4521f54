using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Files;

namespace KvMesh.Worker.Model.Compute;

/// <summary>The inputs of a pass, checked, as rows: the tokens of the first input, then those of the next.</summary>
internal sealed class PassRows
{
    private ModelInput[] _inputs = [];

    public int Count => Tokens.Length;

    public int[] Tokens { get; private set; } = [];

    public int[] Positions { get; private set; } = [];

    /// <summary>The rows whose logits are wanted.</summary>
    public int[] LogitRows { get; private set; } = [];

    public ReadOnlySpan<ModelInput> Inputs => _inputs;

    public void Set(ModelConfig config, ReadOnlySpan<ModelInput> inputs)
    {
        var total = 0L;
        foreach (var input in inputs)
        {
            Check(config, input);
            total += input.Tokens.Length;
        }

        if (total is 0 or > ForwardPass.MaxTokens)
        {
            throw new ArgumentException($"a pass of {total} tokens; it must have from 1 to {ForwardPass.MaxTokens}.", nameof(inputs));
        }

        CheckSharing(inputs);
        _inputs = inputs.ToArray();
        Tokens = [.. _inputs.SelectMany(input => input.Tokens.ToArray())];
        Positions = [.. _inputs.SelectMany(input => Enumerable.Range(input.Position, input.Tokens.Length))];
        LogitRows = [.. WantedRows()];
    }

    public void ForEachPages(Action<IKvPages> action)
    {
        foreach (var input in _inputs)
        {
            action(input.Pages);
        }
    }

    private IEnumerable<int> WantedRows()
    {
        var end = 0;
        foreach (var input in _inputs)
        {
            end += input.Tokens.Length;
            for (var row = end - input.LogitRows; row < end; row++)
            {
                yield return row;
            }
        }
    }

    private static void Check(ModelConfig config, in ModelInput input)
    {
        if (input.Tokens.IsEmpty || input.Position < 0 || input.Position > config.MaxTokens - input.Tokens.Length)
        {
            throw new ArgumentException($"{input.Tokens.Length} tokens at position {input.Position}; there must be some, and they must end at or before {config.MaxTokens}.", nameof(input));
        }

        if (input.LogitRows < 0 || input.LogitRows > input.Tokens.Length)
        {
            throw new ArgumentException($"logits of {input.LogitRows} tokens out of {input.Tokens.Length}.", nameof(input));
        }

        foreach (var token in input.Tokens.Span)
        {
            if ((uint)token >= (uint)config.Vocabulary)
            {
                throw new ArgumentException($"token {token} is not from 0 to {config.Vocabulary - 1}.", nameof(input));
            }
        }

        var format = input.Pages.Format;
        if (format.Layers != config.Layers || format.KvHeads != config.KvHeads || format.HeadChannels != config.HeadChannels)
        {
            throw new ArgumentException(
                $"pages of {format.Layers} layers, {format.KvHeads} heads and {format.HeadChannels} channels; the model has {config.Layers}, {config.KvHeads} and {config.HeadChannels}.", nameof(input));
        }

        if (input.Pages.CapacityTokens < input.EndPosition)
        {
            throw new ArgumentException($"pages with room for {input.Pages.CapacityTokens} tokens; {input.EndPosition} are needed.", nameof(input));
        }
    }

    private static void CheckSharing(ReadOnlySpan<ModelInput> inputs)
    {
        var seen = new HashSet<IKvPages>(ReferenceEqualityComparer.Instance);
        foreach (var input in inputs)
        {
            if (!seen.Add(input.Pages))
            {
                throw new ArgumentException("two inputs have the same pages; a sequence is in a pass once.", nameof(inputs));
            }
        }
    }
}
