using System.Diagnostics;

namespace KvMesh.TestKit;

/// <summary>
/// Waits for what another thread or process will do, with a bound and a message. The bound only ends tests that fail: it is far
/// beyond what a busy machine needs, so no test may count on how long anything takes.
/// </summary>
public static class Eventually
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);

    /// <summary>How long any wait of a test may take.</summary>
    public static TimeSpan Patience { get; } = TimeSpan.FromMinutes(2);

    /// <summary>Waits until a condition holds.</summary>
    public static Task Holds(Func<bool> condition, string what) => Holds(() => Task.FromResult(condition()), what);

    /// <inheritdoc cref="Holds(Func{bool}, string)"/>
    public static Task Holds(Func<Task<bool>> condition, string what) => Holds(condition, () => what);

    /// <inheritdoc cref="Holds(Func{bool}, string)"/>
    /// <param name="what">Says what is missing, and how things stand, when the patience is over.</param>
    public static async Task Holds(Func<Task<bool>> condition, Func<string> what)
    {
        var startedAt = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            ThrowIfLate(startedAt, what);
            await Task.Delay(Pause, TimeProvider.System);
        }
    }

    /// <summary>Blocks until a condition holds; for tests without a task.</summary>
    public static void HoldsBlocking(Func<bool> condition, Func<string> what)
    {
        if (!SpinWait.SpinUntil(condition, Patience))
        {
            throw Late(what());
        }
    }

    /// <inheritdoc cref="HoldsBlocking(Func{bool}, Func{string})"/>
    public static void HoldsBlocking(Func<bool> condition, string what) => HoldsBlocking(condition, () => what);

    /// <summary>Repeats a step that may fail with <typeparamref name="TException"/> until it succeeds.</summary>
    public static async Task<T> Succeeds<T, TException>(Func<Task<T>> step, string what)
        where TException : Exception
    {
        var startedAt = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                return await step();
            }
            catch (TException)
            {
                ThrowIfLate(startedAt, () => what);
                await Task.Delay(Pause, TimeProvider.System);
            }
        }
    }

    /// <summary>Runs a blocking call on a thread of its own.</summary>
    public static Task<T> Run<T>(Func<T> blocking) =>
        Task.Factory.StartNew(blocking, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <inheritdoc cref="Run{T}(Func{T})"/>
    public static Task Run(Action blocking) =>
        Task.Factory.StartNew(blocking, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Runs a blocking call on a thread of its own and waits for its end.</summary>
    public static Task<T> Within<T>(Func<T> blocking, string what) => Run(blocking).Within(what);

    /// <summary>Waits for the end of a task.</summary>
    public static async Task<T> Within<T>(this Task<T> task, string what)
    {
        await ((Task)task).Within(what);
        return await task;
    }

    /// <inheritdoc cref="Within{T}(Task{T}, string)"/>
    public static async Task Within(this Task task, string what)
    {
        using var ended = new CancellationTokenSource();
        if (await Task.WhenAny(task, Task.Delay(Patience, TimeProvider.System, ended.Token)) != task)
        {
            throw Late(what);
        }

        await ended.CancelAsync();
        await task;
    }

    private static void ThrowIfLate(long startedAt, Func<string> what)
    {
        if (Stopwatch.GetElapsedTime(startedAt) > Patience)
        {
            throw Late(what());
        }
    }

    private static TimeoutException Late(string what) => new($"Not seen within {Patience.TotalSeconds} s: {what}.");
}
