using System.Runtime.CompilerServices;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Sampling;
using KvMesh.Worker.Serving;
using KvMesh.Worker.Tests.Model;

namespace KvMesh.Worker.Tests.Front;

/// <summary>Computes answers with a small model, one request at a time, and lets a test see and hold what it does.</summary>
internal sealed class TinyGenerator(string path) : IGenerator, IDisposable
{
    private readonly ModelRun _run = new(path, threads: 1);
    private readonly SemaphoreSlim _one = new(1);
    private int _inside;

    /// <summary>Requests that wait or are computed.</summary>
    public int Inside => Volatile.Read(ref _inside);

    /// <summary>Most of them.</summary>
    public int MaxInside { get; init; } = 100;

    /// <summary>What each answer says of its prompt.</summary>
    public int CachedTokens { get; init; }

    /// <summary>Called before the token of that index; holds it as long as it likes.</summary>
    public Func<int, CancellationToken, Task> BeforeToken { get; init; } = (_, _) => Task.CompletedTask;

    public async IAsyncEnumerable<GeneratedToken> GenerateAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref _inside) > MaxInside)
        {
            Interlocked.Decrement(ref _inside);
            throw new GenerationOverloadException($"{MaxInside} requests wait; no more are let in.");
        }

        try
        {
            await _one.WaitAsync(cancellationToken);
            try
            {
                using var pages = _run.Pages(request.Prompt.Count + request.MaxTokens);
                int[] next = [.. request.Prompt];
                for (var (index, position) = (0, 0); index < request.MaxTokens; index++)
                {
                    await BeforeToken(index, cancellationToken);
                    _run.Pass.Run(new ModelInput(next, position, pages));
                    position += next.Length;
                    next = [TokenSampler.Choose(_run.Pass.Logits(0), request.Sampling, position)];
                    yield return new GeneratedToken(next[0], CachedTokens);
                    if (request.StopTokens.Contains(next[0]))
                    {
                        yield break;
                    }
                }
            }
            finally
            {
                _one.Release();
            }
        }
        finally
        {
            Interlocked.Decrement(ref _inside);
        }
    }

    public void Dispose()
    {
        _run.Dispose();
        _one.Dispose();
    }
}
