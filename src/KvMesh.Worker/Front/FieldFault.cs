namespace KvMesh.Worker.Front;

/// <summary>Why a request is refused: the field, what it was, and what would have been accepted.</summary>
/// <param name="Field">Its name as the caller wrote it.</param>
/// <param name="Value">What it was; null: it was missing.</param>
/// <param name="Limit">What is accepted, as the end of a sentence.</param>
/// <param name="Code">Code of OpenAI for it, where there is one.</param>
internal sealed record FieldFault(string Field, string? Value, string Limit, string? Code = null)
{
    // A refusal repeats what it refuses, but never more than somebody would read.
    private const int MaxShownCharacters = 200;

    public string Shown => Value switch
    {
        null => "(missing)",
        { Length: > MaxShownCharacters } => $"{Value[..WholeCharacters(Value)]}… ({Value.Length} characters)",
        _ => Value,
    };

    public string Message => $"{Field} is {Shown}; {Limit}.";

    private static int WholeCharacters(string value) => char.IsHighSurrogate(value[MaxShownCharacters - 1]) ? MaxShownCharacters - 1 : MaxShownCharacters;
}
