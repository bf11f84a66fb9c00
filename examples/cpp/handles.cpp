// libamun from C++17 with types of one's own: handles that copy and move like values, options as
// objects, statuses as exceptions, and a progress function that may throw. Trains, forgets,
// evaluates. Usage: handles IMAGES.idx LABELS.idx [EPOCHS]
#include <amun/amun.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

// The message is copied: the library's own buffer holds it until the thread's next call only.
class Error : public std::runtime_error {
  public:
    explicit Error(amun_status code)
        : std::runtime_error(std::string(amun_status_string(code)) + ": " +
                             amun_last_error_message()),
          status(code)
    {
    }
    const amun_status status;
};

void check(amun_status status)
{
    if (status != AMUN_OK)
        throw Error(status);
}

// One reference. A copy takes another one, a move hands it over, the destructor gives it back.
template <class T, T *(*add)(T *), void (*drop)(T *)> class Handle {
  public:
    Handle() = default;
    Handle(const Handle &other) : raw(add(other.raw)) {}
    Handle(Handle &&other) noexcept : raw(std::exchange(other.raw, nullptr)) {}
    Handle &operator=(Handle other) noexcept
    {
        std::swap(raw, other.raw);
        return *this;
    }
    ~Handle() { drop(raw); }

    T *get() const { return raw; }

    // Handle::make(amun_model_create, ctx, "digits", nullptr)
    template <class F, class... A> static Handle make(F create, A... arguments)
    {
        Handle made;
        check(create(&made.raw, arguments...));
        return made;
    }

  private:
    T *raw = nullptr;
};

using Context = Handle<amun_context, amun_context_ref, amun_context_unref>;
using Dataset = Handle<amun_dataset, amun_dataset_ref, amun_dataset_unref>;
using Model = Handle<amun_model, amun_model_ref, amun_model_unref>;
using Attack = Handle<amun_attack, amun_attack_ref, amun_attack_unref>;
using AdvSet = Handle<amun_advset, amun_advset_ref, amun_advset_unref>;

template <class O, class... A> O defaults(amun_status (*init)(O *, size_t, A...), A... arguments)
{
    O options;
    check(init(&options, sizeof options, arguments...));
    return options;
}

// Nothing may be thrown through the library: what the function throws is kept, the call is stopped,
// and rethrow() goes on with it.
class Progress {
  public:
    explicit Progress(std::function<void(const amun_progress &)> f) : function(std::move(f))
    {
        options.progress = [](const amun_progress *p, void *self) noexcept {
            return static_cast<Progress *>(self)->told(*p);
        };
        options.user_data = this;
        options.min_interval_ms = 0;
    }
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;

    const amun_call_options *call() const { return &options; }
    void check(amun_status status)
    {
        if (error)
            std::rethrow_exception(std::exchange(error, nullptr));
        ::check(status);
    }

  private:
    int32_t told(const amun_progress &p) noexcept
    {
        try {
            function(p);
            return 0;
        } catch (...) {
            error = std::current_exception();
            return 1;
        }
    }
    std::function<void(const amun_progress &)> function;
    std::exception_ptr error;
    amun_call_options options = defaults(amun_call_options_init);
};

double loss(const Model &model, const Dataset &data, const std::vector<int64_t> &which)
{
    double value;
    check(amun_model_evaluate(nullptr, &value, model.get(), data.get(), which.data(), which.size(),
                              nullptr));
    return value;
}

Model trained(const Context &ctx, const Dataset &data, int epochs)
{
    auto shape = defaults(amun_model_options_init);
    shape.channels = 1, shape.height = shape.width = 8;
    auto how = defaults(amun_train_options_init);
    how.epochs = epochs, how.batch = 45, how.augment_pad = how.augment_flip = 0;
    auto model = Model::make(amun_model_create, ctx.get(), "digits", &shape);
    uint64_t steps = 0;
    Progress progress([&](const amun_progress &p) { steps = p.step; });
    progress.check(
        amun_train_run(nullptr, model.get(), data.get(), nullptr, 0, &how, progress.call()));
    std::printf("%llu steps\n", static_cast<unsigned long long>(steps));
    return model;
}

Model forgotten(const Context &ctx, const Model &model, const Dataset &data,
                const std::vector<int64_t> &forget)
{
    auto search = Attack::make(amun_attack_create_search, ctx.get(), nullptr);
    auto nearest = AdvSet::make(amun_advset_build, search.get(), model.get(), data.get(),
                                forget.data(), forget.size(), nullptr);
    auto tune = defaults<amun_train_options, amun_unlearn_method>(amun_unlearn_train_options_init,
                                                                  AMUN_UNLEARN_AMUN);
    tune.batch = 15, tune.augment_pad = tune.augment_flip = 0;
    auto request = defaults(amun_unlearn_options_init);
    request.train = &tune;
    auto copy = Model::make(amun_model_clone, model.get());
    check(amun_unlearn_run(nullptr, copy.get(), data.get(), forget.data(), forget.size(),
                           nearest.get(), &request, nullptr));
    return copy;
}

// A call that is stopped by an exception from its own progress function.
void interrupted(Model model, const Dataset &data)
{
    struct Enough {};
    Progress progress([](const amun_progress &) { throw Enough(); });
    try {
        progress.check(
            amun_train_run(nullptr, model.get(), data.get(), nullptr, 0, nullptr, progress.call()));
    } catch (const Enough &) {
        std::printf("stopped\n");
    }
}

} // namespace

int main(int argc, char **argv)
try {
    if (argc != 3 && argc != 4)
        throw std::invalid_argument("usage: handles IMAGES.idx LABELS.idx [EPOCHS]");
    auto ctx = Context::make(amun_context_create, nullptr);
    auto all = Dataset::make(amun_dataset_open_idx, ctx.get(), argv[1], argv[2]);
    std::vector<int64_t> order(amun_dataset_count(all.get())), forget(90);
    check(amun_forget_indices(order.data(), order.size(), order.size(), 0));
    check(amun_forget_indices(forget.data(), forget.size(), 900, 1));
    auto data = Dataset::make(amun_dataset_subset, all.get(), order.data(), 900);

    auto model = trained(ctx, data, argc == 4 ? std::atoi(argv[3]) : 20);
    auto after = forgotten(ctx, model, data, forget);
    std::printf("loss: forgotten %.4f, before %.4f\n", loss(after, data, forget),
                loss(model, data, forget));
    interrupted(std::move(after), data);
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
