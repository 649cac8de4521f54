namespace KvMesh.Worker.Serving;

/// <summary>
/// Computes answers, wherever: in this process, or with keys and values that another one computed. The tokens are the same in each case.
/// </summary>
public interface IGenerator
{
    /// <summary>The tokens behind the prompt, each as soon as it is known. Ends behind a stop token and after the last one that was wanted.</summary>
    /// <exception cref="ArgumentException">A field of the request is out of its range; the message names field, value and limit.</exception>
    /// <exception cref="GenerationOverloadException">More wait than are let in; nothing was computed.</exception>
    IAsyncEnumerable<GeneratedToken> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken);
}

/// <summary>As many requests wait as may; the caller may try again later.</summary>
public sealed class GenerationOverloadException(string message) : Exception(message);
